// However a run ends, no browser of it goes on, and no profile stays behind.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { until } from '../e2e/support/until.mjs'
import { start } from './support/process.mjs'

const profile = mkdtempSync(join(tmpdir(), 'surechat-process-'))
after(() => rm(profile, { recursive: true, force: true }))

function isAlive(pid) {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

/** A program that stands for a browser, and one that it has started. */
const PROGRAM = 'sleep 300 & echo $! > "$1/second"; exec sleep 300'

for (const signal of ['SIGKILL', 'SIGINT', 'SIGTERM']) {
  test(`a run that ends by ${signal} takes everything along`, async () => {
    const own = mkdtempSync(join(profile, 'run-'))
    const run = `
      import { start } from ${JSON.stringify(new URL('./support/process.mjs', import.meta.url).href)}
      const child = start('sh', ['-c', ${JSON.stringify(PROGRAM)}, 'sh', ${JSON.stringify(own)}], { profile: ${JSON.stringify(own)} })
      console.log(child.pid)
      setInterval(() => {}, 1000)`
    const parent = spawn(process.execPath, ['--input-type=module', '-e', run], { stdio: ['ignore', 'pipe', 'inherit'] })
    const [said] = await once(parent.stdout, 'data')
    const group = Number(said)
    await until('both are there', () => existsSync(join(own, 'second')))
    parent.kill(signal)
    await until('nobody of the group is left', () => !isAlive(-group), 10)
    await until('the profile is gone', () => !existsSync(own), 10)
  })
}

test('what is killed is gone, with what it started, and its profile stays for the next', async () => {
  const own = mkdtempSync(join(profile, 'run-'))
  const child = start('sh', ['-c', PROGRAM, 'sh', own], { profile: own })
  await until('both are there', () => existsSync(join(own, 'second')))
  child.check()
  await child.kill()
  await until('nobody of the group is left', () => !isAlive(-child.pid), 10)
  assert.throws(() => child.check(), /has ended/)
  assert.ok(existsSync(join(own, 'second')))
})

test('what ends by itself is noticed, and what is not there said', async () => {
  const own = mkdtempSync(join(profile, 'run-'))
  for (const [program, args] of [['sh', ['-c', 'echo why >&2; exit 3']], ['surechat-is-no-program', []]]) {
    const child = start(program, args, { profile: own })
    const words = await until('it has ended', () => {
      try {
        child.check()
      } catch (error) {
        return error.message
      }
    }, 10)
    assert.match(words, program === 'sh' ? /has ended: why/ : /surechat-is-no-program/)
    await child.kill()
  }
})
