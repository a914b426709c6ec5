// The Rust crate into js/wasm: cargo, wasm-bindgen, wasm-opt.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { hasRustSource, toolEnv } from '../setup.mjs'
import { ordered } from './order.mjs'
import { Problem, exitCode, output, root, run } from './process.mjs'
import { filesBelow, unlessFresh } from './stamp.mjs'

const TARGET = 'wasm32-unknown-unknown'
const OUT = 'js/wasm'

// Inlining makes this module longer for gzip's short window, even where it makes it shorter.
// The stack lies below the data, whose addresses are written shorter when they are below 1 MiB.
const COMPACT = '-Cllvm-args=-inline-threshold=0 -Clink-arg=-zstack-size=524288'

// The ready-made standard library carries formatting and panic text that no user of a browser ever reads.
// Compiling it along needs unstable options of the pinned compiler.
const SMALL_STD = {
  args: ['-Zbuild-std=std,panic_abort', '-Zbuild-std-features=optimize_for_size'],
  env: {
    RUSTC_BOOTSTRAP: '1',
    RUSTFLAGS: `${COMPACT} -Zunstable-options -Cpanic=immediate-abort -Zlocation-detail=none -Zfmt-debug=none`,
  },
}

/** Resolves with whether anything had to be built. */
export function buildWasm({ dev }) {
  const smallStd = !dev && hasRustSource()
  const files = [
    'Cargo.toml', 'rust-toolchain.toml', 'scripts/lib/wasm.mjs',
    ...filesBelow('Cargo.lock'), ...filesBelow('.cargo'),
    ...filesBelow('src', (path) => /(^|\/)tests?(\.rs|$)/.test(path)),
  ]
  return unlessFresh(OUT, { files, variant: `${dev ? 'dev' : 'release'} ${smallStd}` }, async () => {
    const module = dev ? await compileDev() : await compileRelease(smallStd)
    await bind(module)
    if (!dev) await optimize()
  })
}

async function compileDev() {
  await run('cargo', ['build', '--lib', '--target', TARGET], { env: toolEnv() })
  return `target/${TARGET}/debug/surechat.wasm`
}

async function compileRelease(smallStd) {
  const args = ['build', '--lib', '--release', '--target', TARGET]
  const module = `target/${TARGET}/release/surechat.wasm`
  if (smallStd) {
    if ((await exitCode('cargo', [...args, ...SMALL_STD.args], { env: toolEnv(SMALL_STD.env) })) === 0) return module
    console.warn('build: no build with a standard library of our own; trying the ready-made one')
  }
  await run('cargo', args, { env: toolEnv({ RUSTFLAGS: COMPACT }) })
  if (!smallStd) console.warn('build: the standard library\'s source (rust-src) is missing, so this wasm is larger than a released one')
  return module
}

async function bind(module) {
  rmSync(join(root, OUT), { recursive: true, force: true })
  mkdirSync(join(root, OUT), { recursive: true })
  // The loader alone says where the wasm is: a second `new URL` in the glue would put a second copy into every app.
  const args = ['--target', 'web', '--omit-default-module-path', '--out-dir', OUT, '--out-name', 'surechat']
  await run('wasm-bindgen', [...args, '--remove-name-section', '--remove-producers-section', module], { env: toolEnv() })
}

// Debian's wasm-opt miscompiles this module in silence; npm's does not.
function wasmOpt(from, to, args) {
  const said = output('node_modules/.bin/wasm-opt', [from, '-o', to, ...args])
  if (said === null) throw new Problem('wasm-opt failed')
  return said
}

// What Rust's target uses, which the text does not say.
const FEATURES = ['bulk-memory', 'multivalue', 'mutable-globals', 'nontrapping-float-to-int', 'reference-types', 'sign-ext']
  .map((feature) => `--enable-${feature}`)

// What `-Os` does when it writes, and nothing of what it does before.
const WRITE_SMALL = ['--shrink-level=1', '--optimize-level=2', '--optimize-stack-ir', '--strip-target-features']

async function optimize() {
  const wasm = join(OUT, 'surechat_bg.wasm')
  const text = join(OUT, 'surechat_bg.wat')
  const args = ['-Os', '--one-caller-inline-max-function-size=20', '--minify-imports-and-exports-and-modules']
  const names = wasmOpt(wasm, text, ['--emit-text', ...args])
  const assemble = () => wasmOpt(text, wasm, [...FEATURES, ...WRITE_SMALL])
  assemble()
  writeFileSync(text, ordered(readFileSync(text, 'utf8'), readFileSync(wasm)))
  assemble()
  rmSync(text)
  shortenNames(JSON.parse(names))
}

/** wasm-bindgen's names, most of them with a hash, are a tenth of what is left; the glue has to use the same ones. */
function shortenNames({ imports, exports }) {
  const glue = join(root, OUT, 'surechat.js')
  const imported = new Map(imports.map(([, name, short]) => [name, short]))
  const exported = new Map(exports)
  const text = readFileSync(glue, 'utf8')
    .replace(/^( +)(\w+)(?=: function)/gm, (whole, indent, name) => (imported.has(name) ? indent + imported.get(name) : whole))
    .replace(/\bwasm\.(\w+)/g, (whole, name) => (exported.has(name) ? `wasm.${exported.get(name)}` : whole))
    .replace('"./surechat_bg.js": import0', 'a: import0')
  writeFileSync(glue, text)
}
