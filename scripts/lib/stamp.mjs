// Skips work whose inputs have not changed since it was last finished.
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './process.mjs'

/** Every file below a path inside the repository, sorted; a missing path has none. */
export function filesBelow(path, skip = () => false) {
  const full = join(root, path)
  if (!existsSync(full)) return []
  if (!statSync(full).isDirectory()) return [path]
  return readdirSync(full)
    .sort()
    .map((name) => join(path, name))
    .filter((child) => !skip(child))
    .flatMap((child) => filesBelow(child, skip))
}

/**
 * Runs `work`, which fills `folder`, unless the folder was filled from the same files and variant before.
 * Resolves with whether it had to.
 */
export async function unlessFresh(folder, { files, variant }, work) {
  const hash = createHash('sha256').update(variant)
  for (const file of files) hash.update(`\0${file}\0`).update(readFileSync(join(root, file)))
  const digest = hash.digest('hex')
  const stamp = join(root, folder, '.stamp')
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === digest) return false
  await work()
  writeFileSync(stamp, digest)
  return true
}
