// js/ and pkg-template/ into pkg/: the package as it is published.
import { copyFileSync, cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { root, run } from './process.mjs'
import { filesBelow, unlessFresh } from './stamp.mjs'

const OUT = 'pkg'

// All entries and chunks lie flat beside wasm/: the loader's `new URL('./wasm/…', import.meta.url)` ends up in one of them.
const ENTRIES = { index: 'js/index.ts', react: 'js/react/index.ts', ui: 'js/react/ui/index.ts', 'service-worker': 'js/service-worker.ts' }
const STYLES = 'js/styles.css'
/** What an app needs to know beside the README and the types. */
const DOCS = ['docs/errors.md', 'docs/ways-in.md']

export const esbuildOptions = {
  absWorkingDir: root,
  bundle: true,
  splitting: true,
  format: 'esm',
  target: 'es2022',
  jsx: 'automatic',
  external: ['react', 'react-dom'],
  chunkNames: 'chunk-[hash]',
  legalComments: 'none',
  logLevel: 'warning',
}

/** Resolves with whether anything had to be built. */
export function buildPackage({ dev }) {
  const files = [
    'Cargo.toml', 'tsconfig.json', 'tsconfig.build.json', 'scripts/lib/bundle.mjs',
    ...DOCS, ...filesBelow('js'), ...filesBelow('pkg-template'), ...filesBelow('supabase'),
  ]
  return unlessFresh(OUT, { files, variant: dev ? 'dev' : 'release' }, async () => {
    rmSync(join(root, OUT), { recursive: true, force: true })
    mkdirSync(join(root, OUT, 'wasm'), { recursive: true })
    const { build } = await import('esbuild')
    await build({ ...esbuildOptions, entryPoints: ENTRIES, outdir: OUT, minify: !dev })
    await build({ ...esbuildOptions, splitting: false, entryPoints: { styles: STYLES }, outdir: OUT, minify: !dev })
    copyFileSync(join(root, 'js/wasm/surechat_bg.wasm'), join(root, OUT, 'wasm/surechat_bg.wasm'))
    await run('node_modules/.bin/tsc', ['-p', 'tsconfig.build.json', '--outDir', join(OUT, 'types')])
    cpSync(join(root, 'pkg-template'), join(root, OUT), { recursive: true })
    cpSync(join(root, 'supabase'), join(root, OUT, 'supabase'), { recursive: true })
    for (const path of DOCS) cpSync(join(root, path), join(root, OUT, path))
    writeManifest()
  })
}

function writeManifest() {
  const version = /^version\s*=\s*"([^"]+)"/m.exec(readFileSync(join(root, 'Cargo.toml'), 'utf8'))[1]
  const manifest = JSON.parse(readFileSync(join(root, 'pkg-template/package.json'), 'utf8'))
  writeFileSync(join(root, OUT, 'package.json'), `${JSON.stringify({ ...manifest, version }, null, 2)}\n`)
}
