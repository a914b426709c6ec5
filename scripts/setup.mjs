// What the other scripts need, fetched once: npm packages, the Rust toolchain, wasm-bindgen's command line,
// a browser with its driver. Whatever is there already is left alone, so it costs nothing to run it again.
import { existsSync, readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'
import { Problem, executable, exitCode, isMain, main, output, root, which } from './lib/process.mjs'

const WASM_PACK = '0.15.1'
const TARGET = 'wasm32-unknown-unknown'

const read = (path) => readFileSync(join(root, path), 'utf8')
const say = (text) => console.log(`setup: ${text}`)

const cargoBin = join(process.env.CARGO_HOME ?? join(homedir(), '.cargo'), 'bin')
const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'surechat', 'tools')
const toolRoot = (crate, version) => join(cache, `${crate}-${version}`)

export function wasmBindgenVersion() {
  const pin = /^wasm-bindgen\s*=\s*"=([\d.]+)"/m.exec(read('Cargo.toml'))
  if (!pin) throw new Problem('Cargo.toml has no line of the form  wasm-bindgen = "=x.y.z"')
  return pin[1]
}

function rustChannel() {
  return /^channel\s*=\s*"([^"]+)"/m.exec(read('rust-toolchain.toml'))[1]
}

/** PATH with our own tools in front and cargo behind. */
export function toolPath() {
  return [
    join(toolRoot('wasm-bindgen-cli', wasmBindgenVersion()), 'bin'),
    join(toolRoot('wasm-pack', WASM_PACK), 'bin'),
    process.env.PATH ?? '',
    cargoBin,
  ].join(delimiter)
}

export function toolEnv(extra = {}) {
  return { ...process.env, PATH: toolPath(), ...extra }
}

/** Is the standard library's source here, for the smaller release build? */
export function hasRustSource() {
  const sysroot = output('rustc', ['--print', 'sysroot'], { env: toolEnv() })
  return sysroot !== null && existsSync(join(sysroot, 'lib/rustlib/src/rust/library/Cargo.lock'))
}

const BROWSERS = [
  'chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
]
const DRIVERS = ['chromedriver', '/usr/lib/chromium-browser/chromedriver', '/usr/lib/chromium/chromedriver']

/** The path of Chromium or Chrome, or null; `SURECHAT_CHROMIUM` overrides it. */
export function chromium() {
  return process.env.SURECHAT_CHROMIUM ?? which(BROWSERS)
}

export function chromedriver() {
  return process.env.CHROMEDRIVER ?? which(DRIVERS)
}

/**
 * Fetches what is missing and throws one `Problem` that names everything it could not get.
 * @param {{browser?: boolean, wasmPack?: boolean}} [needs]
 */
export async function ensureTools({ browser = false, wasmPack = false } = {}) {
  const problems = []
  const attempt = async (work) => {
    try {
      await work()
    } catch (error) {
      if (!(error instanceof Problem)) throw error
      problems.push(error.message)
    }
  }
  await attempt(ensureNpmPackages)
  if (browser) await attempt(ensureBrowser)
  await attempt(async () => {
    await ensureRust()
    await ensureCargoTool('wasm-bindgen-cli', wasmBindgenVersion(), ['wasm-bindgen', 'wasm-bindgen-test-runner'])
    if (wasmPack) await ensureCargoTool('wasm-pack', WASM_PACK, ['wasm-pack'], ['--locked'])
  })
  if (problems.length > 0) throw new Problem(['setup: something is missing.', ...problems].join('\n\n'))
  say('everything is in place')
}

async function ensureNpmPackages() {
  if (npmPackagesAreInPlace()) return
  say('npm packages (npm ci)')
  if ((await exitCode('npm', ['ci', '--no-fund', '--no-audit'])) !== 0) {
    throw new Problem('`npm ci` failed: the npm packages of package-lock.json are not installed (see its message above).')
  }
}

function npmPackagesAreInPlace() {
  const installedLock = join(root, 'node_modules', '.package-lock.json')
  if (!existsSync(installedLock)) return false
  const installed = JSON.parse(readFileSync(installedLock, 'utf8')).packages
  return Object.entries(JSON.parse(read('package-lock.json')).packages)
    .filter(([path]) => path !== '')
    .every(([path, { version, optional }]) => installed[path]?.version === version || (optional && !installed[path]))
}

async function ensureRust() {
  const rustup = which(['rustup'], toolPath())
  if (!rustup) {
    throw new Problem(
      'rustup is not installed: it brings Rust and its WebAssembly target.\n' +
        'Install it from https://rustup.rs, open a new shell, and run this again.',
    )
  }
  if (!which(['cc', 'gcc', 'clang'])) {
    throw new Problem('There is no C compiler, which Rust needs for linking.\nOn Debian or Ubuntu: apt-get install build-essential')
  }
  const channel = rustChannel()
  const installed = () => output(rustup, ['component', 'list', '--toolchain', channel, '--installed'], { env: toolEnv() })
  const missing = (names) => {
    const present = installed()?.split('\n') ?? []
    return names.filter((name) => !present.some((line) => line.startsWith(name)))
  }

  const needed = ['cargo', 'rustc', 'clippy', 'rustfmt', `rust-std-${TARGET}`]
  if (missing(needed).length > 0) {
    say(`Rust ${channel} with clippy, rustfmt and ${TARGET} (rustup)`)
    const parts = ['--profile', 'minimal', '--no-self-update', '-c', 'clippy', '-c', 'rustfmt', '-t', TARGET]
    await exitCode(rustup, ['toolchain', 'install', channel, ...parts], { env: toolEnv() })
    const still = missing(needed)
    if (still.length > 0) {
      throw new Problem(
        `rustup could not install ${still.join(', ')} for Rust ${channel} (see its message above).\n` +
          `By hand: rustup toolchain install ${channel} ${parts.join(' ')}`,
      )
    }
  }
  if (missing(['rust-src']).length > 0) {
    say('the source of the standard library, for the smaller build (rustup)')
    await exitCode(rustup, ['component', 'add', 'rust-src', '--toolchain', channel], { env: toolEnv() })
    if (missing(['rust-src']).length > 0) say('rust-src could not be had: the wasm will be built with the ready-made standard library and be larger')
  }
}

/** Installs a crate's programs into the user's cache, one folder per version, so that every clone shares them. */
async function ensureCargoTool(crate, version, programs, flags = []) {
  const folder = toolRoot(crate, version)
  const complete = () =>
    programs.every((program) => {
      const path = executable(join(folder, 'bin', program))
      return path !== null && output(path, ['--version'])?.includes(version)
    })
  if (complete()) return
  say(`${crate} ${version} into ${folder} (cargo install; some minutes, once per machine)`)
  const args = ['install', crate, '--version', version, '--root', folder, ...flags]
  await exitCode('cargo', args, { env: toolEnv() })
  if (!complete()) throw new Problem(`${crate} ${version} could not be installed (see cargo's message above).\nBy hand: cargo ${args.join(' ')}`)
}

async function ensureBrowser() {
  if (chromium() && chromedriver()) return
  const debian = existsSync('/etc/debian_version') && which(['apt-get'])
  if (debian && process.getuid?.() === 0) {
    say('chromium and chromium-driver (apt-get)')
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
    await exitCode('apt-get', ['update', '-qq'], { env })
    await exitCode('apt-get', ['install', '-y', '-qq', 'chromium', 'chromium-driver'], { env })
    if (chromium() && chromedriver()) return
  }
  const lines = []
  if (!chromium()) lines.push('No Chromium or Chrome was found (SURECHAT_CHROMIUM may name its path).')
  if (!chromedriver()) lines.push('No chromedriver was found (CHROMEDRIVER may name its path; its major version must be the browser\'s).')
  lines.push(debian ? 'As root: apt-get install chromium chromium-driver' : 'Chrome: https://www.google.com/chrome · chromedriver: https://googlechromelabs.github.io/chrome-for-testing')
  throw new Problem(lines.join('\n'))
}

if (isMain(import.meta.url)) {
  await main(() => ensureTools({ browser: true, wasmPack: true }))
}
