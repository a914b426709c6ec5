// What a user's page has to load, against the committed budget; ends with 1 when something outgrew it.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { brotliCompressSync, gzipSync } from 'node:zlib'
import { esbuildOptions } from './lib/bundle.mjs'
import { Problem, main, root } from './lib/process.mjs'

const read = (path) => readFileSync(join(root, path))

/** The JavaScript that an app's bundler makes of these entries, React not counted. */
async function bundled(entries) {
  const { build } = await import('esbuild')
  const contents = entries.map((entry, index) => `export * as e${index} from './${entry}'`).join('\n')
  const result = await build({
    ...esbuildOptions, splitting: false, minify: true, write: false,
    stdin: { contents, resolveDir: root, loader: 'js' },
    logOverride: { 'ignored-bare-import': 'silent' },
  })
  return result.outputFiles[0].contents
}

const measure = (name, bytes) => ({
  name,
  raw: bytes.length,
  gzip: gzipSync(bytes, { level: 9 }).length,
  brotli: brotliCompressSync(bytes).length,
})

const plus = (name, a, b) => ({ name, raw: a.raw + b.raw, gzip: a.gzip + b.gzip, brotli: a.brotli + b.brotli })

async function sizes() {
  const wasm = measure('wasm', read('pkg/wasm/surechat_bg.wasm'))
  const headless = measure('headless', await bundled(['pkg/index.js']))
  const withReact = measure('with react', await bundled(['pkg/index.js', 'pkg/react.js']))
  const withUi = measure('with ui', await bundled(['pkg/index.js', 'pkg/react.js', 'pkg/ui.js']))
  return [
    wasm,
    measure('glue alone', await bundled(['js/wasm/surechat.js'])),
    headless,
    withReact,
    withUi,
    measure('styles', read('pkg/styles.css')),
    plus('wasm + headless', wasm, headless),
    plus('wasm + with ui', wasm, withUi),
  ]
}

await main(async () => {
  if (!existsSync(join(root, 'pkg/package.json'))) throw new Problem('size: there is no pkg/ yet; run `npm run build` first')
  const budget = JSON.parse(read('size-budget.json'))
  const kB = (bytes) => (bytes === undefined ? '' : (bytes / 1000).toFixed(1)).padStart(9)
  const rows = await sizes()
  console.log(`${'kB'.padEnd(18)}${['raw', 'gzip', 'brotli', 'budget'].map((title) => title.padStart(9)).join('')}`)
  for (const row of rows) {
    const limit = budget.gzip[row.name]
    console.log(`${row.name.padEnd(18)}${kB(row.raw)}${kB(row.gzip)}${kB(row.brotli)}${kB(limit)}${row.gzip > limit ? '  over' : ''}`)
  }
  const over = rows.filter((row) => row.gzip > budget.gzip[row.name])
  const first = rows.find((row) => row.name === 'wasm + headless').gzip
  console.log(`size: wasm + headless ${kB(first).trim()} kB gzip; goal ${kB(budget.goal).trim()}`)
  if (over.length > 0) throw new Problem(`size: over budget: ${over.map((row) => row.name).join(', ')}`)
})
