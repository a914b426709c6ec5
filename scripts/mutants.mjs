// Mutation testing of the rooms that carry the promise: what a test suite does not notice, it does not prove.
//   npm run mutants [-- --room rest] [--jobs N]     one room (again for another), or all of them
// Every mutant is a small mistake put into the code; it is caught when a test fails. The list is in target/mutants, the
// judgement of what survived in docs/mutation-report.md.
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { Problem, exitCode, main, root } from './lib/process.mjs'
import { ensureTools, toolEnv } from './setup.mjs'

const ROOMS = ['outbox', 'tabs', 'rest', 'sync']
const LEAST_CAUGHT = 90
const OUT = join(root, 'target/mutants')
/** A mutant that makes the tests run longer than this has made something endless: caught. */
const TEST_SECONDS = 120
/** All rooms take hours. */
const LIMIT_MINUTES = 24 * 60
/** What tests the rooms: their own tests, and those of the engine around them. */
const TESTS = ['--lib']

function options(args) {
  const chosen = { rooms: [], jobs: '1' }
  const rest = [...args]
  while (rest.length > 0) {
    const option = rest.shift()
    if (option === '--room') chosen.rooms.push(rest.shift())
    else if (option === '--jobs') chosen.jobs = rest.shift()
    else throw new Problem(`mutants: unknown option ${option}; there are --room NAME and --jobs N`)
  }
  const unknown = chosen.rooms.filter((room) => !ROOMS.includes(room))
  if (unknown.length > 0) throw new Problem(`mutants: no room ${unknown.join(', ')}; there are ${ROOMS.join(', ')}`)
  if (chosen.rooms.length === 0) chosen.rooms = ROOMS
  return chosen
}

/** Counts of one room. A mutant that does not compile says nothing, so it counts nowhere. */
function summary(room, outcomes) {
  const of = (kind) => outcomes.filter(({ summary }) => summary === kind).length
  const [caught, missed, unviable, timeouts] = ['CaughtMutant', 'MissedMutant', 'Unviable', 'Timeout'].map(of)
  const tested = caught + missed + timeouts
  return { room, caught, missed, unviable, timeouts, tested, percent: tested === 0 ? 100 : (100 * (caught + timeouts)) / tested }
}

const COLUMNS = ['caught', 'missed', 'timeouts', 'unviable']

function line({ room, percent, ...counts }) {
  return [room.padEnd(8), ...COLUMNS.map((column) => String(counts[column]).padStart(9)), `${percent.toFixed(1)} %`.padStart(9)].join(' ')
}

await main(async () => {
  const { rooms, jobs } = options(process.argv.slice(2))
  await ensureTools(['cargo-mutants'])
  rmSync(OUT, { recursive: true, force: true })
  mkdirSync(OUT, { recursive: true })
  const files = rooms.flatMap((room) => ['--file', `src/${room}/**`])
  const args = ['mutants', '--no-shuffle', '--package', 'surechat', '--jobs', jobs, '--timeout', String(TEST_SECONDS), '--output', OUT, ...files]
  // 2: some were missed, 3: some ran into the time limit; both are figures here, not failures.
  const code = await exitCode('cargo', [...args, '--', ...TESTS], { env: toolEnv(), minutes: LIMIT_MINUTES })
  const report = join(OUT, 'mutants.out/outcomes.json')
  if (![0, 2, 3].includes(code) || !existsSync(report)) throw new Problem(`mutants: \`cargo mutants\` ended with ${code}`)

  const outcomes = JSON.parse(readFileSync(report, 'utf8')).outcomes.filter(({ scenario }) => scenario.Mutant)
  const results = rooms.map((room) => summary(room, outcomes.filter(({ scenario }) => scenario.Mutant.file.startsWith(`src/${room}/`))))
  console.log(`\n${['room'.padEnd(8), ...COLUMNS.map((column) => column.padStart(9)), 'in all'.padStart(9)].join(' ')}`)
  for (const result of results) console.log(line(result))
  const all = summary('all', outcomes)
  console.log(line(all))
  const missed = outcomes.filter(({ summary }) => summary === 'MissedMutant').map(({ scenario }) => scenario.Mutant.name)
  if (missed.length > 0) console.log(`\nnobody noticed:\n${missed.map((name) => `  ${name}`).join('\n')}`)
  if (all.percent < LEAST_CAUGHT) throw new Problem(`mutants: ${all.percent.toFixed(1)} % caught; at least ${LEAST_CAUGHT} % are wanted`)
})
