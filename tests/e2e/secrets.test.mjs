import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openChat, STORED } from './support/harness.mjs'
import { until } from './support/until.mjs'
import { addBooking, useWorld, whileForbidden } from './support/world.mjs'

const BODY = 'My door code is 4711'

const world = useWorld()

/** Everything that this origin keeps in the browser. */
async function readStorage() {
  const read = (request) => new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error)
  })
  const kept = { local: { ...localStorage }, session: { ...sessionStorage }, cookie: document.cookie, caches: await caches.keys(), databases: {} }
  for (const { name } of await indexedDB.databases()) {
    const database = await read(indexedDB.open(name))
    kept.databases[name] = {}
    for (const store of database.objectStoreNames) {
      kept.databases[name][store] = await read(database.transaction(store).objectStore(store).getAll())
    }
    database.close()
  }
  return JSON.stringify(kept)
}

test('no token is kept in the browser or put into an address, and the console tells no token and no message', async () => {
  const { operator: user } = world.users
  const conversation = await addBooking(world)
  const context = await world.browser.newContext()
  const tokens = []
  let broken = false
  const token = async () => {
    tokens.push(await world.tokenFor(user.id))
    if (broken) throw new Error(`the session ${tokens.at(-1)} is broken`)
    return tokens.at(-1)
  }
  const addresses = []
  const before = (page) => {
    page.on('request', (request) => addresses.push(request.url()))
    page.on('websocket', (socket) => addresses.push(socket.url()))
  }
  const chat = await openChat(world, context, { user, conversation, token, before })
  await chat.untilConnected()

  await chat.sendAndWait(`${BODY}, stored`)
  await whileForbidden(world, async () => {
    await chat.sendAndWait(`${BODY}, refused`)
  })
  await chat.send(`${BODY}\0, invalid`)
  await chat.send(`${BODY}${' '.repeat(70_000)}!`)
  const faults = [{ kind: 'status', status: 503 }, { kind: 'cut_sockets' }, { kind: 'refuse_sockets' }]
  for (const fault of faults) world.faults.add(fault)
  broken = true
  await chat.send(`${BODY}, unsent`)
  await context.setOffline(true)
  await context.setOffline(false)
  await until('the broken session was asked for a token', async () => (await chat.status()) !== 'connected' && tokens.length > 2)

  const kept = await chat.page.evaluate(readStorage)
  assert.ok(kept.includes(`${BODY}, stored`) && kept.includes(`${BODY}, unsent`), 'the messages are kept')
  const said = [...chat.console, ...chat.exceptions].join('\n')
  assert.ok(said.includes('403'), 'the console was heard')
  for (const secret of tokens) {
    const signature = secret.split('.')[2]
    assert.ok(!kept.includes(signature), 'no token is kept')
    assert.ok(!said.includes(signature), 'no token is said')
    assert.ok(!addresses.join('\n').includes(signature), 'no token is part of an address')
  }
  assert.ok(!said.includes(BODY), 'no message is said')

  world.faults.clear()
  broken = false
  await chat.untilAre([`${BODY}, unsent`], STORED, 60)
})
