// Starting and stopping leave nothing behind, however it ends.
import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { startStack } from '../../dev/stack/index.mjs'
import { Peer } from './recording.mjs'

const CLI = fileURLToPath(new URL('../../dev/stack/cli.mjs', import.meta.url))

let place
beforeEach(async () => {
  place = await mkdtemp(join(tmpdir(), 'surechat-life-'))
  // Like the system's own: the database may run as another user.
  await chmod(place, 0o1777)
})
afterEach(() => rm(place, { recursive: true, force: true }))

async function remains() {
  const { stdout } = await promisify(execFile)('ps', ['-eo', 'args'])
  const processes = stdout.split('\n').filter((line) => line.includes(place))
  return [...processes, ...(await readdir(place))]
}

async function nothingRemains() {
  const deadline = Date.now() + 15_000
  while ((await remains()).length > 0 && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 50))
  assert.deepEqual(await remains(), [])
}

/** The command, up, with its temporary files in `place`; `said` is what it printed. */
async function command() {
  const child = spawn(process.execPath, [CLI, '--port', '0'], { env: { ...process.env, TMPDIR: place }, stdio: ['ignore', 'pipe', 'inherit'] })
  const said = []
  for await (const line of createInterface({ input: child.stdout })) {
    said.push(line)
    if (line.startsWith('Stop')) break
  }
  return { child, said }
}

describe('the command', () => {
  for (const signal of ['SIGINT', 'SIGTERM']) {
    test(`prints where everything is, and ends cleanly on ${signal}`, async () => {
      const { child, said } = await command()
      const url = /http:\S+/.exec(said[0])[0]
      const key = said.find((line) => line.startsWith('anon key')).split(/\s+/).at(-1)
      assert.equal((await fetch(`${url}/rest/v1/bookings?select=id`, { headers: { apikey: key } })).status, 200)
      assert.ok(said.some((line) => line.startsWith('operator') && line.includes('operator@surechat.test')))
      child.kill(signal)
      const [code] = await once(child, 'exit')
      assert.equal(code, 0)
      assert.deepEqual(await remains(), [])
    })
  }

  test('even when it is killed outright', async () => {
    const { child } = await command()
    assert.ok((await remains()).length > 0)
    child.kill('SIGKILL')
    await nothingRemains()
  })
})

describe('startStack', () => {
  test('a start that fails cleans up after itself', async () => {
    const { TMPDIR } = process.env
    process.env.TMPDIR = place
    try {
      await assert.rejects(startStack({ sqlFiles: [join(place, 'missing.sql')] }), { code: 'ENOENT' })
    } finally {
      if (TMPDIR === undefined) delete process.env.TMPDIR
      else process.env.TMPDIR = TMPDIR
    }
    await nothingRemains()
  })

  test('a data directory keeps the data for the next start', async () => {
    const dataDir = join(place, 'data')
    const first = await startStack({ dataDir })
    await first.sql`update bookings set title = 'kept' where id = 'b0000000-0000-4000-8000-000000000001'`
    await first.stop()
    const second = await startStack({ dataDir })
    const kept = await second.sql`select title from bookings where title = 'kept'`
    const { users } = second
    await second.stop()
    assert.equal(kept.length, 1)
    assert.deepEqual(users, first.users)
  })

  test('two stacks run side by side', async () => {
    const stacks = await Promise.all([startStack(), startStack()])
    assert.notEqual(stacks[0].port, stacks[1].port)
    await Promise.all(stacks.map((stack) => stack.stop()))
  })

  test('requests that are still served when it stops ask nothing of a database that is gone', async (t) => {
    const stack = await startStack()
    const complaint = t.mock.method(console, 'error', () => {})
    stack.faults.add({ kind: 'delay', ms: 1000 })
    const asked = fetch(`${stack.url}/rest/v1/bookings?select=id`, { headers: { apikey: stack.apiKey } })
    asked.catch(() => {})
    await new Promise((resolve) => setTimeout(resolve, 200))
    await stack.stop()
    await assert.rejects(asked)
    await new Promise((resolve) => setTimeout(resolve, 1500))
    assert.deepEqual(complaint.mock.calls.map(({ arguments: said }) => said), [])
  })

  test('stopping closes sockets with 1012 and is quick', async () => {
    const stack = await startStack()
    const peer = new Peer(`${stack.url.replace('http', 'ws')}/realtime/v1/websocket?apikey=${stack.apiKey}&vsn=2.0.0`)
    await peer.opened
    const start = Date.now()
    await stack.stop()
    assert.equal(await peer.closed, 1012)
    assert.ok(Date.now() - start < 3000)
    await stack.stop()
  })
})
