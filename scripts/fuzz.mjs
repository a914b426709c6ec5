// Searches for inputs that panic, hang or lose a message, with libFuzzer and its coverage.
//   --bounded        the committed corpus and about a minute of searching: what CI runs
//   --seconds N      so long in all, split among the targets
//   --target NAME    just this one (again for another)
//   --minimise       takes over what was found and leaves the smallest corpus with the same coverage
// A crash is kept in target/fuzz/crashes; with its fix it belongs into tests/fuzz/corpus, where it is a test from then on.
import { spawn } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { Problem, exitCode, main, output, root, which } from './lib/process.mjs'
import { ensureTools, toolEnv, toolPath } from './setup.mjs'

const BOUNDED_SECONDS = 60
const CRATE = 'tests/fuzz'
const CORPUS = join(root, CRATE, 'corpus')
const OUT = join(root, 'target/fuzz')
/** One input may take no longer than this. */
const HANG_SECONDS = 10
const LIMITS = [`-timeout=${HANG_SECONDS}`, '-rss_limit_mb=2048', '-max_len=16384', '-print_final_stats=1']

// What `cargo fuzz run -s none` would pass. Neither it nor a nightly compiler is needed for searching by coverage: only
// the sanitizers want one, and this crate has no unsafe code for them to look at.
const INSTRUMENTED = [
  '-Cpasses=sancov-module',
  '-Cllvm-args=-sanitizer-coverage-level=4',
  '-Cllvm-args=-sanitizer-coverage-inline-8bit-counters',
  '-Cllvm-args=-sanitizer-coverage-pc-table',
  '-Cllvm-args=-sanitizer-coverage-trace-compares',
  '-Cllvm-args=-simplifycfg-branch-fold-threshold=0',
  '--cfg fuzzing',
].join(' ')

function options(args) {
  const chosen = { seconds: null, targets: [], minimise: false }
  const rest = [...args]
  while (rest.length > 0) {
    const option = rest.shift()
    if (option === '--bounded') chosen.seconds = BOUNDED_SECONDS
    else if (option === '--seconds') chosen.seconds = Number(rest.shift())
    else if (option === '--target') chosen.targets.push(rest.shift())
    else if (option === '--minimise') chosen.minimise = true
    else throw new Problem(`fuzz: unknown option ${option}; there are --bounded, --seconds N, --target NAME, --minimise`)
  }
  if (chosen.seconds === null && !chosen.minimise) chosen.seconds = BOUNDED_SECONDS
  if (chosen.seconds !== null && !(chosen.seconds > 0)) throw new Problem('fuzz: --seconds wants a number above 0')
  const known = readdirSync(CORPUS)
  const unknown = chosen.targets.filter((name) => !known.includes(name))
  if (unknown.length > 0) throw new Problem(`fuzz: no target ${unknown.join(', ')}; there are ${known.join(', ')}`)
  if (chosen.targets.length === 0) chosen.targets = known
  return chosen
}

async function build() {
  if (!which(['c++', 'g++', 'clang++'])) {
    throw new Problem('There is no C++ compiler, which libFuzzer is built with.\nOn Debian or Ubuntu: apt-get install build-essential')
  }
  const env = toolEnv()
  const host = /^host: (.*)$/m.exec(output('rustc', ['-vV'], { env }) ?? '')?.[1]
  if (!host) throw new Problem('fuzz: `rustc -vV` does not say what this machine is')
  // With a target of its own, the flags do not reach build scripts, which could not be linked with them.
  const args = ['build', '-p', 'surechat-fuzz', '--bin', 'fuzz', '--features', 'libfuzzer', '--profile', 'fuzz', '--target', host]
  const code = await exitCode('cargo', [...args, '--target-dir', OUT], { env: { ...env, RUSTFLAGS: INSTRUMENTED } })
  if (code !== 0) throw new Problem('fuzz: the fuzzer could not be built (see cargo\'s message above)')
  return join(OUT, host, 'fuzz/fuzz')
}

function start(program, name, args) {
  const env = { ...process.env, PATH: toolPath(), SURECHAT_FUZZ_TARGET: name, RUST_BACKTRACE: '0' }
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd: root, env, stdio: ['ignore', 'ignore', 'pipe'] })
    let text = ''
    child.stderr.setEncoding('utf8')
    child.stderr.on('data', (chunk) => {
      text = (text + chunk).slice(-20_000)
    })
    child.on('error', reject)
    child.on('exit', (code) => resolve({ code, text }))
  })
}

const files = (folder) => (existsSync(folder) ? readdirSync(folder) : [])

async function search(program, name, seconds) {
  const found = join(OUT, 'found', name)
  const crashes = join(OUT, 'crashes', name)
  rmSync(crashes, { recursive: true, force: true })
  mkdirSync(found, { recursive: true })
  mkdirSync(crashes, { recursive: true })
  const args = [...LIMITS, `-max_total_time=${seconds}`, `-artifact_prefix=${crashes}/`, found, join(CORPUS, name)]
  const { code, text } = await start(program, name, args)
  const figure = (pattern) => Number([...text.matchAll(pattern)].at(-1)?.[1] ?? 0)
  return {
    name,
    ok: code === 0,
    executions: figure(/stat::number_of_executed_units: (\d+)/g) || figure(/^#(\d+)/gm),
    coverage: figure(/ cov: (\d+)/g),
    corpus: files(join(CORPUS, name)).length,
    found: files(found).length,
    crashes: files(crashes).map((file) => join(crashes, file)),
    text,
  }
}

/** The shares of the time. What is small and fast has soon seen everything. */
const WEIGHTS = { engine: 4, socket: 2, replies: 2 }
const weight = (name) => WEIGHTS[name] ?? 1

/** As many at once as there are processors, the longest first. */
async function searchAll(program, names, seconds) {
  const lanes = Math.min(availableParallelism(), names.length)
  const unit = (seconds * lanes) / names.reduce((sum, name) => sum + weight(name), 0)
  const waiting = [...names].sort((one, other) => weight(other) - weight(one))
  const results = []
  const lane = async () => {
    for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) {
      results.push(await search(program, name, Math.max(1, Math.min(seconds, Math.round(unit * weight(name))))))
    }
  }
  await Promise.all(Array.from({ length: lanes }, lane))
  return results.sort((one, other) => one.name.localeCompare(other.name))
}

async function minimise(program, name) {
  const folder = join(CORPUS, name)
  const smaller = join(OUT, 'minimised', name)
  rmSync(smaller, { recursive: true, force: true })
  mkdirSync(smaller, { recursive: true })
  const args = [...LIMITS, '-set_cover_merge=1', '-use_counters=0', smaller, folder, join(OUT, 'found', name)]
  const { code, text } = await start(program, name, args)
  if (code !== 0) throw new Problem(`fuzz: the corpus of ${name} could not be minimised\n${text.slice(-2_000)}`)
  // What has a name was put there by somebody for a reason; of what has only a hash, the merge decides.
  const byHand = files(folder).filter((file) => !/^[0-9a-f]{40}$/.test(file))
  const before = files(folder).length
  const known = new Set(byHand.map((file) => readFileSync(join(folder, file)).toString('base64')))
  for (const file of files(folder)) if (!byHand.includes(file)) rmSync(join(folder, file))
  for (const file of files(smaller)) {
    if (!known.has(readFileSync(join(smaller, file)).toString('base64'))) cpSync(join(smaller, file), join(folder, file))
  }
  console.log(`fuzz: ${name}: ${before} inputs before, ${files(folder).length} now`)
}

await main(async () => {
  const { seconds, targets, minimise: only } = options(process.argv.slice(2))
  await ensureTools()
  const program = await build()
  if (only) {
    for (const name of targets) await minimise(program, name)
    if (seconds === null) return
  }
  const results = await searchAll(program, targets, seconds)
  console.log(`\n${'target'.padEnd(10)} ${'executions'.padStart(11)} ${'edges'.padStart(7)} ${'corpus'.padStart(7)} ${'new'.padStart(6)} ${'crashes'.padStart(8)}`)
  for (const { name, executions, coverage, corpus, found, crashes } of results) {
    const figures = [executions, coverage, corpus, found, crashes.length]
    const widths = [11, 7, 7, 6, 8]
    console.log([name.padEnd(10), ...figures.map((figure, index) => String(figure).padStart(widths[index]))].join(' '))
  }
  const sum = (of) => results.reduce((total, result) => total + of(result), 0)
  console.log(`fuzz: ${sum((one) => one.executions)} executions, ${sum((one) => one.corpus)} inputs in the corpus, ${sum((one) => one.crashes.length)} crashes`)
  for (const { name, ok, crashes, text } of results.filter((result) => !result.ok)) {
    const why = text.split('\n').filter((line) => !/^\s*#|^\/|^\s+(INITED|NEW|REDUCE|pulse)/.test(line)).slice(0, 400)
    console.error(`\n${name}: ${crashes.join(', ') || 'ended without a crash file'}\n${why.join('\n').slice(-3_000)}`)
  }
  if (results.some((result) => !result.ok)) throw new Problem('fuzz: something crashed, hung, or lost a message')
})
