// Every check there is, in order. A failure does not stop the others, but the whole then ends with 1.
//   --only rust,unit   just these        --fast   without the slow ones
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { Problem, main, root } from './lib/process.mjs'
import { filesBelow } from './lib/stamp.mjs'
import { chromedriver, chromium, fetchTools, firefox, geckodriver, toolEnv, webkitDriver } from './setup.mjs'

const TARGET = 'wasm32-unknown-unknown'
const LIMIT_MINUTES = 25
/** A step has a group of its own, which hears of none of these. */
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP']

const cargo = (...args) => () => ['cargo', ...args]
const script = (path, ...args) => () => ['node', path, ...args]

function nodeTests(folder) {
  return () => {
    const files = filesBelow(folder, (path) => path.includes('node_modules')).filter((path) => path.endsWith('.test.mjs'))
    if (files.length === 0) throw new Problem(`there are no tests in ${folder}`)
    return ['node', '--test', '--test-reporter=spec', '--test-concurrency=1', ...files]
  }
}

const wasmIn = (driver, ...prefix) => ({
  command: () => [...prefix, 'cargo', 'test', '--target', TARGET],
  env: driver,
  slow: true,
})

// A step's `command` and `env` are made when its turn comes, after the setup before it. A step whose `needs` could not
// be had fails.
const STEPS = [
  { name: 'fmt', command: cargo('fmt', '--all', '--check') },
  { name: 'clippy', command: cargo('clippy', '--workspace', '--all-targets', '--', '-D', 'warnings') },
  { name: 'clippy-wasm', command: cargo('clippy', '--all-targets', '--target', TARGET, '--', '-D', 'warnings') },
  { name: 'rust', command: cargo('test', '-p', 'surechat', '-p', 'surechat-fuzz') },
  { name: 'sim', command: cargo('test', '--profile', 'sim', '-p', 'simulation') },
  { name: 'search', command: cargo('run', '--quiet', '--profile', 'sim', '-p', 'simulation', '--bin', 'search') },
  { name: 'fuzz', command: script('scripts/fuzz.mjs', '--bounded'), slow: true },
  { name: 'wasm', ...wasmIn(() => ({ CHROMEDRIVER: chromedriver() })), needs: ['chromium'] },
  { name: 'wasm-firefox', ...wasmIn(() => ({ GECKODRIVER: geckodriver() })), needs: ['firefox', 'geckodriver'] },
  { name: 'wasm-webkit', ...wasmIn(() => ({ SAFARIDRIVER: webkitDriver() }), 'xvfb-run', '-a'), needs: ['webkit'] },
  {
    name: 'wasm-pack',
    command: () => ['wasm-pack', 'test', '--headless', '--chrome', '--mode', 'no-install', '--chromedriver', chromedriver()],
    needs: ['chromium', 'wasm-pack'],
    slow: true,
  },
  { name: 'build', command: script('scripts/build.mjs') },
  { name: 'size', command: script('scripts/size.mjs') },
  { name: 'types', command: () => ['tsc', '-p', 'tsconfig.json'] },
  { name: 'types-guide', command: () => ['tsc', '-p', 'tests/types'] },
  { name: 'types-demo', command: () => ['tsc', '-p', 'dev/demo'] },
  { name: 'unit', command: () => ['vitest', 'run'] },
  { name: 'sql', command: nodeTests('tests/sql') },
  { name: 'stack', command: nodeTests('tests/stack') },
  { name: 'chaos-ledger', command: nodeTests('tests/chaos') },
  { name: 'gaps-count', command: nodeTests('tests/gaps') },
  { name: 'e2e', command: nodeTests('tests/e2e'), needs: ['chromium'], slow: true },
  { name: 'chaos', command: script('scripts/chaos.mjs', '--quick', '--seed', '3'), needs: ['chromium', 'firefox'], slow: true },
  { name: 'gaps', command: script('scripts/gaps.mjs', '--quick', '--seed', '4'), needs: ['chromium'], slow: true },
  { name: 'demo', command: script('scripts/demo.mjs', '--smoke'), needs: ['chromium'], slow: true },
  { name: 'packaging', command: nodeTests('tests/packaging'), needs: ['chromium'], slow: true },
]

function testEnv(extra) {
  const env = toolEnv({ CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER: 'wasm-bindgen-test-runner', WASM_BINDGEN_TEST_TIMEOUT: '120' })
  if (chromium()) env.SURECHAT_CHROMIUM = chromium()
  if (firefox()) env.SURECHAT_FIREFOX = firefox()
  // The runner takes the first driver it finds: a step names its own.
  for (const name of ['CHROMEDRIVER', 'GECKODRIVER', 'SAFARIDRIVER']) delete env[name]
  Object.assign(env, extra)
  return { ...env, PATH: `${join(root, 'node_modules/.bin')}:${env.PATH}` }
}

function runStep(program, args, env) {
  return new Promise((resolve) => {
    // A group of its own, so that the time limit also ends what a step started.
    const child = spawn(program, args, { cwd: root, env, stdio: ['ignore', 'inherit', 'inherit'], detached: true })
    const end = () => {
      try {
        process.kill(-child.pid, 'SIGKILL')
      } catch {
        // The whole group has ended by itself.
      }
    }
    const limit = setTimeout(() => {
      console.error(`test: stopped after ${LIMIT_MINUTES} minutes`)
      end()
    }, LIMIT_MINUTES * 60_000)
    const interrupted = () => {
      end()
      process.exit(130)
    }
    for (const signal of SIGNALS) process.once(signal, interrupted)
    const finish = (code) => {
      clearTimeout(limit)
      for (const signal of SIGNALS) process.off(signal, interrupted)
      end()
      resolve(code === 0)
    }
    child.on('error', (error) => {
      console.error(error.message)
      finish(1)
    })
    child.on('exit', finish)
  })
}

async function attempt({ name, command, env = () => ({}), needs = [] }, problems) {
  try {
    const lacking = needs.filter((need) => problems.has(need))
    if (lacking.length > 0) throw new Problem(lacking.map((need) => problems.get(need)).join('\n\n'))
    const [program, ...args] = command()
    console.log(`\n=== ${name}: ${[program, ...args].join(' ')}`)
    return await runStep(program, args, testEnv(env()))
  } catch (error) {
    if (!(error instanceof Problem)) throw error
    console.log(`\n=== ${name}`)
    console.error(error.message)
    return false
  }
}

function chosen(args) {
  const options = [...args]
  let steps = STEPS
  while (options.length > 0) {
    const option = options.shift()
    if (option === '--fast') steps = steps.filter((step) => !step.slow)
    else if (option === '--only') {
      const names = (options.shift() ?? '').split(',')
      const unknown = names.filter((name) => !STEPS.some((step) => step.name === name))
      if (unknown.length > 0) throw new Problem(`test: no step ${unknown.join(', ')}; there are ${STEPS.map((step) => step.name).join(', ')}`)
      steps = steps.filter((step) => names.includes(step.name))
    } else throw new Problem(`test: unknown option ${option}`)
  }
  return steps
}

await main(async () => {
  const steps = chosen(process.argv.slice(2))
  const results = []
  const timed = async (name, work) => {
    const start = performance.now()
    const ok = await work()
    results.push({ name, ok, seconds: (performance.now() - start) / 1000 })
  }

  let problems
  await timed('setup', async () => {
    problems = await fetchTools([...new Set(steps.flatMap(({ needs = [] }) => needs))])
    for (const problem of problems.values()) console.error(`\n${problem}`)
    return problems.size === 0
  })
  for (const step of steps) await timed(step.name, () => attempt(step, problems))

  console.log('')
  for (const { name, ok, seconds } of results) {
    console.log(`${ok ? 'ok    ' : 'FAILED'}  ${name.padEnd(13)} ${seconds.toFixed(1).padStart(7)} s`)
  }
  const failed = results.filter((result) => !result.ok)
  const total = results.reduce((sum, { seconds }) => sum + seconds, 0)
  console.log(`test: ${results.length - failed.length} of ${results.length} passed in ${(total / 60).toFixed(1)} minutes`)
  if (failed.length > 0) throw new Problem(`test: failed: ${failed.map((result) => result.name).join(', ')}`)
})
