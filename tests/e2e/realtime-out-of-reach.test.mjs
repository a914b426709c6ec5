// Realtime cannot be had, requests can: messages come and go all the same, the pages say so, and are live again by
// themselves.
import assert from 'node:assert/strict'
import { afterEach, test } from 'node:test'
import { openDemo } from './support/demo.mjs'
import { addBooking, assertStored, useWorld } from './support/world.mjs'

/** The polling period, and what a busy machine needs. */
const POLL_MS = 10_000 + 5_000
/** The longest pause between two attempts to connect, and the like. */
const BACK_MS = 30_000 + 15_000

const world = useWorld()
const contexts = []
afterEach(async () => {
  world.faults.clear()
  for (const context of contexts.splice(0)) await context.close()
})

async function open(role, booking) {
  contexts.push(await world.browser.newContext())
  return openDemo(world, contexts.at(-1), role, { booking })
}

const untilSync = ({ page }, state, timeout) => page.locator(`.message-area[data-sync='${state}']`).waitFor({ timeout })
const strip = ({ page }) => page.getByText('Live updates are out of reach')

/** The client writes, from elsewhere. */
async function say(booking, content) {
  const { client } = world.users
  const body = { expected_user: client.id, batch: [{ id: crypto.randomUUID(), conversation_id: booking, content }] }
  const answer = await fetch(`${world.stack.url}/rest/v1/rpc/chat_send`, {
    method: 'POST',
    headers: { apikey: world.apiKey, authorization: `Bearer ${await world.tokenFor(client.id)}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  assert.equal(answer.status, 200)
}

test('sockets are refused for good: messages both ways within the polling period, and then live again', async () => {
  const booking = await addBooking(world)
  const { id } = world.faults.add({ kind: 'refuse_sockets' })
  const operator = await open('operator', booking)
  const client = await open('client', booking)
  for (const person of [operator, client]) {
    await untilSync(person, 'polling', 30_000)
    await strip(person).waitFor()
    await person.untilConnection('reconnecting')
  }

  await operator.write('Can you read this?')
  await client.message('Can you read this?').waitFor({ timeout: POLL_MS })
  await client.write('Yes, a little later')
  await operator.message('Yes, a little later').waitFor({ timeout: POLL_MS })
  await operator.message('Can you read this?').locator(".surechat-delivery[data-status='read']").waitFor({ timeout: POLL_MS })
  await assertStored(world, booking, ['Can you read this?', 'Yes, a little later'])
  for (const person of [operator, client]) {
    assert.deepEqual(await person.connectionStates(), ['connecting', 'reconnecting'], 'nobody is told to be offline')
  }

  world.faults.remove(id)
  for (const person of [operator, client]) {
    await untilSync(person, 'live', BACK_MS)
    await strip(person).waitFor({ state: 'detached' })
    assert.equal(await person.badge.getAttribute('data-status'), 'connected')
  }
  await client.write('At once again')
  await operator.message('At once again').waitFor({ timeout: 3_000 })
})

test('sockets open and are silent: the same', async () => {
  const booking = await addBooking(world)
  const operator = await open('operator', booking)
  await operator.untilConnection('connected')
  world.faults.add({ kind: 'half_open' })
  world.faults.add({ kind: 'cut_sockets' })
  await untilSync(operator, 'polling', 60_000)
  await say(booking, 'asked for')
  await operator.message('asked for').waitFor({ timeout: POLL_MS })
  world.faults.clear()
  await untilSync(operator, 'live', BACK_MS)
})

for (const [what, fault] of Object.entries({
  'too many users': { kind: 'limit', users: 0 },
  'too many joins': { kind: 'limit', joinsPerSecond: 0 },
  'no channel is left': { kind: 'refuse_joins', reason: 'ConnectionRateLimitReached: Too many connected users' },
})) {
  test(`${what}: polling, few attempts, and live when there is room again`, async () => {
    const booking = await addBooking(world)
    const { id } = world.faults.add(fault)
    const operator = await open('operator', booking)
    await untilSync(operator, 'polling', 30_000)
    const since = Date.now()
    await operator.write('goes out')
    await operator.untilShown('goes out', 'sent')
    const joins = () => Object.values(world.faults.list().hits).reduce((sum, n) => sum + n, 0)
    const before = joins()
    await operator.page.waitForTimeout(10_000)
    const attempts = joins() - before
    assert.ok(attempts <= 4, `${attempts} attempts within ${Date.now() - since} ms`)
    world.faults.remove(id)
    await untilSync(operator, 'live', 60_000 + 30_000)
  })
}

test('Realtime is switched off: said so, messages both ways, and it is left alone', async () => {
  const booking = await addBooking(world)
  world.faults.add({ kind: 'refuse_joins', reason: 'RealtimeDisabledForTenant: Realtime disabled for this tenant' })
  const operator = await open('operator', booking)
  await untilSync(operator, 'polling', 30_000)
  await strip(operator).waitFor()
  const joins = () => world.faults.list().hits.refuse_joins
  const before = joins()
  await operator.write('goes out')
  await operator.untilShown('goes out', 'sent')
  await say(booking, 'comes in')
  await operator.message('comes in').waitFor({ timeout: POLL_MS })
  await assertStored(world, booking, ['goes out', 'comes in'])
  assert.deepEqual(await operator.connectionStates(), ['connecting', 'reconnecting'])
  assert.equal(joins(), before, 'nobody joins again for minutes')
})

test('the topic of the conversation alone is refused for its limits: the messages stay live', async () => {
  const booking = await addBooking(world)
  world.faults.add({ kind: 'refuse_joins', topic: 'chat:', reason: 'ClientJoinRateLimitReached: Too many joins per second' })
  world.faults.add({ kind: 'limit', presencePerSecond: 0 })
  const operator = await open('operator', booking)
  const client = await open('client', booking)
  for (const person of [operator, client]) await untilSync(person, 'live', 30_000)
  await operator.write('at once')
  await client.message('at once').waitFor({ timeout: 3_000 })
  assert.deepEqual(await client.connectionStates(), ['connecting', 'connected'])
  assert.equal(await client.page.getByRole('alert').count(), 0)
})
