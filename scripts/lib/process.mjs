// Running other programs, and where things are. Only Node's own modules: the setup runs before `npm ci`.
import { spawn, spawnSync } from 'node:child_process'
import { constants, accessSync, realpathSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))))

/** A failure whose message is meant for the person at the keyboard: shown without a stack. */
export class Problem extends Error {}

/** Nothing here takes as long as this: what does hangs. */
const LIMIT_MINUTES = 90

/** Runs a program with its output shown; resolves with its exit code. */
export function exitCode(program, args, { cwd = root, env = process.env, minutes = LIMIT_MINUTES } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd, env, stdio: 'inherit', timeout: minutes * 60_000 })
    child.on('error', reject)
    child.on('exit', (code, signal) => resolve(signal ? 1 : code))
  })
}

export async function run(program, args, options) {
  const code = await exitCode(program, args, options)
  if (code !== 0) throw new Problem(`\`${[program, ...args].join(' ')}\` ended with ${code}`)
}

/** The trimmed standard output, or null when the program is missing or fails. */
export function output(program, args, { cwd = root, env = process.env } = {}) {
  const result = spawnSync(program, args, { cwd, env, encoding: 'utf8' })
  return result.status === 0 ? result.stdout.trim() : null
}

export function executable(path) {
  try {
    accessSync(path, constants.X_OK)
    return path
  } catch {
    return null
  }
}

/** The first of these names found on PATH; names with a slash are tried as they are. */
export function which(names, path = process.env.PATH ?? '') {
  for (const name of names) {
    const places = name.includes('/') ? [name] : path.split(delimiter).map((folder) => join(folder, name))
    const found = places.find(executable)
    if (found) return found
  }
  return null
}

/** True in the script that was started, false where it was imported. */
export function isMain(url) {
  return process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(url)
}

export async function main(work) {
  try {
    await work()
  } catch (error) {
    console.error(error instanceof Problem ? `\n${error.message}` : error)
    process.exitCode = 1
  }
}
