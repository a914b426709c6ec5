// The crate into js/wasm and the package into pkg/. `--dev`: quick and large, for working on it.
import { Problem, isMain, main } from './lib/process.mjs'
import { buildPackage } from './lib/bundle.mjs'
import { buildWasm } from './lib/wasm.mjs'
import { ensureTools } from './setup.mjs'

/** Wants `ensureTools()` before it. */
export async function build({ dev = false } = {}) {
  const wasm = await buildWasm({ dev })
  const pkg = await buildPackage({ dev })
  console.log(`build: js/wasm ${wasm ? 'built' : 'is up to date'}, pkg ${pkg ? 'built' : 'is up to date'}`)
}

if (isMain(import.meta.url)) {
  await main(async () => {
    const unknown = process.argv.slice(2).filter((argument) => argument !== '--dev')
    if (unknown.length > 0) throw new Problem(`build: unknown option ${unknown.join(' ')}`)
    await ensureTools()
    await build({ dev: process.argv.includes('--dev') })
  })
}
