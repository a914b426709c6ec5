// Every scenario in every browser, and a table of what became of the messages.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startStack } from '../../dev/stack/index.mjs'
import { seeded } from '../../dev/stack/random.mjs'
import { startBridge } from './support/bridge.mjs'
import * as chromium from './support/chromium.mjs'
import * as firefox from './support/firefox.mjs'
import { Run } from './support/run.mjs'
import { SCENARIOS } from './scenarios.mjs'

const DRIVERS = { chromium, firefox }
const COLUMNS = ['sent', 'lost', 'unsent', 'rejected', 'doubled', 'disordered', 'absent', 'views', 'seconds', 'allowed', 'requests']
const MUST_BE_ZERO = ['lost', 'unsent', 'rejected', 'doubled', 'disordered', 'absent', 'views']

export const scenarioNames = SCENARIOS.map(({ name }) => name)

const line = (name, cells) => `${name.padEnd(16)}${cells.map((cell) => String(cell).padStart(11)).join('')}`

function figures({ seconds, limit, ...verdict }) {
  return { ...verdict, seconds: seconds.toFixed(1), allowed: limit.toFixed(1) }
}

/** Why a run is not good, in words; none: it is. */
function complaints(verdict, count) {
  const wrong = MUST_BE_ZERO.filter((name) => verdict[name] > 0).map((name) => `${verdict[name]} ${name}`)
  wrong.push(...verdict.wrongViews)
  if (verdict.accepted < count) wrong.push(`only ${verdict.accepted} accepted`)
  if (verdict.unsettled) wrong.push(verdict.unsettled)
  if (verdict.seconds > verdict.limit) wrong.push(`${(verdict.seconds - verdict.limit).toFixed(1)} s too late`)
  return wrong
}

async function attempt(scenario, world) {
  const run = new Run(world)
  try {
    await run.start()
    await scenario.run(run, world)
    await run.complete()
    await run.settle()
    const verdict = await run.verdict()
    return { verdict, wrong: complaints(verdict, world.count) }
  } catch (error) {
    return { wrong: [error.message], error }
  } finally {
    await run.stop()
  }
}

async function inBrowser(name, executable, { scenarios, stack, bridge, quick, count, seed }) {
  const { launch, CANNOT } = DRIVERS[name]
  const profile = await mkdtemp(join(tmpdir(), 'surechat-chaos-watcher-'))
  const watcher = await launch({ executable, profile })
  console.log(`\n${line(name, COLUMNS)}`)
  const results = []
  try {
    for (const scenario of scenarios) {
      const reason = CANNOT[scenario.wants]
      if (reason) {
        console.log(`${scenario.name.padEnd(16)}  not in ${name}: ${reason}`)
        continue
      }
      // Its own, so that it is the same whichever others are run.
      const own = Math.floor(seeded(seed + scenarioNames.indexOf(scenario.name))() * 2 ** 32)
      stack.faults.forget()
      const result = await attempt(scenario, { stack, bridge, launch, executable, watcher, quick, count, seed: own })
      results.push(result)
      const shown = result.verdict && figures(result.verdict)
      const cells = COLUMNS.map((column) => shown?.[column] ?? '-')
      console.log(line(scenario.name, cells) + (result.wrong.length > 0 ? `   FAILED: ${result.wrong.join(', ')}` : ''))
      if (result.error && !result.verdict) console.error(result.error.stack)
    }
  } finally {
    await watcher.kill()
    await rm(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 })
  }
  return results
}

/** `browsers` is a list of `[name, executable]`; resolves with whether every run was good, and that in a line. */
export async function chaos({ browsers, only = scenarioNames, quick = false, count = quick ? 50 : 500, seed }) {
  const scenarios = SCENARIOS.filter(({ name }) => only.includes(name))
  console.log(`chaos: ${count} messages in each scenario, 20 ms of latency, seed ${seed}`)
  for (const { name, about } of scenarios) console.log(`  ${name.padEnd(16)}${about}`)
  const stack = await startStack()
  try {
    const bridge = await startBridge({
      config: () => ({ url: stack.url, apiKey: stack.apiKey, conversations: bridge.conversations }),
      token: (user) => stack.tokenFor(user, { expiresIn: bridge.tokenSeconds() }),
    })
    try {
      const results = []
      for (const [name, executable] of browsers) results.push(...(await inBrowser(name, executable, { scenarios, stack, bridge, quick, count, seed })))
      const failed = results.filter(({ wrong }) => wrong.length > 0).length
      const sum = (column) => results.reduce((total, { verdict }) => total + (verdict?.[column] ?? 0), 0)
      const totals = ['sent', 'lost', 'doubled', 'disordered', 'absent'].map((column) => `${sum(column)} ${column}`).join(', ')
      const summary = `chaos: ${results.length - failed} of ${results.length} runs passed: ${totals} (seed ${seed})`
      return { passed: failed === 0 && results.length > 0, summary }
    } finally {
      bridge.stop()
    }
  } finally {
    await stack.stop()
  }
}
