// What the other scripts need, fetched once: npm packages, the Rust toolchain, wasm-bindgen's command line,
// browsers with their drivers. Whatever is there already is left alone, so it costs nothing to run it again.
import { existsSync, readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'
import { Problem, executable, exitCode, isMain, main, output, root, which } from './lib/process.mjs'

const WASM_PACK = '0.15.1'
const CARGO_MUTANTS = '27.1.0'
const GECKODRIVER = '0.37.1'
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
    join(toolRoot('cargo-mutants', CARGO_MUTANTS), 'bin'),
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

const CHROMIUMS = [
  'chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
]
const CHROMEDRIVERS = ['chromedriver', '/usr/lib/chromium-browser/chromedriver', '/usr/lib/chromium/chromedriver']
const FIREFOXES = ['firefox-esr', 'firefox', '/Applications/Firefox.app/Contents/MacOS/firefox']
const WEBKIT_DRIVERS = ['WebKitWebDriver', '/usr/lib/webkit2gtk-4.1/WebKitWebDriver', '/usr/lib/webkit2gtk-4.0/WebKitWebDriver']

/** The path of Chromium or Chrome, or null; `SURECHAT_CHROMIUM` overrides it. */
export function chromium() {
  return process.env.SURECHAT_CHROMIUM ?? which(CHROMIUMS)
}

export function chromedriver() {
  return process.env.CHROMEDRIVER ?? which(CHROMEDRIVERS)
}

/** The path of Firefox, or null; `SURECHAT_FIREFOX` overrides it. */
export function firefox() {
  return process.env.SURECHAT_FIREFOX ?? which(FIREFOXES)
}

export function geckodriver() {
  return process.env.GECKODRIVER ?? which([join(toolRoot('geckodriver', GECKODRIVER), 'bin', 'geckodriver'), 'geckodriver'])
}

/** The driver of WebKitGTK, or null; it wants a display, which `xvfb-run` gives it. */
export function webkitDriver() {
  return process.env.SAFARIDRIVER ?? which(WEBKIT_DRIVERS)
}

const xvfb = () => which(['xvfb-run'])

/** What Debian has a package for, and what to do where it may not be installed. */
const PACKAGED = {
  chromium: {
    packages: ['chromium', 'chromium-driver'],
    found: () => chromium() && chromedriver(),
    problem: 'Chromium with its chromedriver is missing (SURECHAT_CHROMIUM and CHROMEDRIVER may name their paths; the major versions must be the same).',
    elsewhere: 'Chrome: https://www.google.com/chrome · chromedriver: https://googlechromelabs.github.io/chrome-for-testing',
  },
  firefox: {
    packages: ['firefox-esr'],
    found: firefox,
    problem: 'Firefox is missing (SURECHAT_FIREFOX may name its path).',
    elsewhere: 'https://www.mozilla.org/firefox',
  },
  webkit: {
    packages: ['webkit2gtk-driver', 'xvfb'],
    found: () => webkitDriver() && xvfb(),
    problem: 'WebKitGTK\'s driver with xvfb-run is missing (SAFARIDRIVER may name the driver\'s path).',
    elsewhere: 'WebKitGTK is to be had for Linux only: https://webkitgtk.org',
  },
}

/** What can be asked for beyond npm packages and Rust, each with how to get it. */
const TOOLS = {
  chromium: () => checkPackaged('chromium'),
  firefox: () => checkPackaged('firefox'),
  webkit: () => checkPackaged('webkit'),
  geckodriver: () => process.env.GECKODRIVER || ensureCargoTool('geckodriver', GECKODRIVER, ['geckodriver'], ['--locked']),
  'wasm-pack': () => ensureCargoTool('wasm-pack', WASM_PACK, ['wasm-pack'], ['--locked']),
  'cargo-mutants': () => ensureCargoTool('cargo-mutants', CARGO_MUTANTS, ['cargo-mutants'], ['--locked'], ['mutants', '--version']),
}

/**
 * Fetches what is missing. npm packages and Rust are always needed: without them it throws. Of the tools it resolves
 * with what could not be had: a map from its name to what to do about it.
 */
export async function fetchTools(names) {
  const problems = new Map()
  const attempt = async (name, work) => {
    try {
      await work()
    } catch (error) {
      if (!(error instanceof Problem)) throw error
      problems.set(name, error.message)
    }
  }
  await attempt('npm packages', ensureNpmPackages)
  await attempt('Rust', async () => {
    await ensureRust()
    await ensureCargoTool('wasm-bindgen-cli', wasmBindgenVersion(), ['wasm-bindgen', 'wasm-bindgen-test-runner'])
  })
  if (problems.size > 0) throw combined(problems)
  await installPackages(names)
  for (const name of names) await attempt(name, TOOLS[name])
  if (problems.size === 0) say('everything is in place')
  return problems
}

/** Fetches what is missing and throws one `Problem` that names everything it could not get. */
export async function ensureTools(names = []) {
  const problems = await fetchTools(names)
  if (problems.size > 0) throw combined(problems)
}

const combined = (problems) => new Problem(['setup: something is missing.', ...problems.values()].join('\n\n'))

/** The npm packages alone: enough for what needs neither Rust nor a browser. */
export async function ensureNpmPackages() {
  checkNode()
  if (npmPackagesAreInPlace()) return
  say('npm packages (npm ci)')
  if ((await exitCode('npm', ['ci', '--no-fund', '--no-audit'])) !== 0) {
    throw new Problem('`npm ci` failed: the npm packages of package-lock.json are not installed (see its message above).')
  }
}

/** npm warns of a Node that is too old, and goes on. */
function checkNode() {
  const numbers = (text) => text.match(/\d+/g).map(Number)
  const [major, minor] = numbers(JSON.parse(read('package.json')).engines.node)
  const [ownMajor, ownMinor] = numbers(process.versions.node)
  if (ownMajor < major || (ownMajor === major && ownMinor < minor)) {
    throw new Problem(`Node ${major}.${minor} or newer is needed; this is ${process.versions.node}. https://nodejs.org`)
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
async function ensureCargoTool(crate, version, programs, flags = [], ask = ['--version']) {
  const folder = toolRoot(crate, version)
  const complete = () =>
    programs.every((program) => {
      const path = executable(join(folder, 'bin', program))
      return path !== null && output(path, ask)?.includes(version)
    })
  if (complete()) return
  say(`${crate} ${version} into ${folder} (cargo install; some minutes, once per machine)`)
  const args = ['install', crate, '--version', version, '--root', folder, ...flags]
  await exitCode('cargo', args, { env: toolEnv() })
  if (!complete()) throw new Problem(`${crate} ${version} could not be installed (see cargo's message above).\nBy hand: cargo ${args.join(' ')}`)
}

const isDebian = () => existsSync('/etc/debian_version') && which(['apt-get']) !== null

async function installPackages(names) {
  const packages = names.flatMap((name) => (PACKAGED[name] && !PACKAGED[name].found() ? PACKAGED[name].packages : []))
  if (packages.length === 0 || !isDebian() || process.getuid?.() !== 0) return
  say(`${packages.join(', ')} (apt-get)`)
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  await exitCode('apt-get', ['update', '-qq'], { env })
  await exitCode('apt-get', ['install', '-y', '-qq', ...packages], { env })
}

function checkPackaged(name) {
  const { found, problem, packages, elsewhere } = PACKAGED[name]
  if (found()) return
  throw new Problem(`${problem}\n${isDebian() ? `As root: apt-get update && apt-get install ${packages.join(' ')}` : elsewhere}`)
}

if (isMain(import.meta.url)) {
  await main(() => ensureTools(Object.keys(TOOLS)))
}
