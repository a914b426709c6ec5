// What every end-to-end test stands on: a local Supabase, the demo's pages, a harness page, and a browser.
import assert from 'node:assert/strict'
import { after, afterEach, before, beforeEach } from 'node:test'
import { startDemo } from '../../../dev/demo/server.mjs'
import { startStack } from '../../../dev/stack/index.mjs'
import { chromium } from '../../../scripts/setup.mjs'
import { launch } from './browser.mjs'
import { startHarness } from './harness.mjs'
import { until } from './until.mjs'

/**
 * Starts all of it before the tests of a file and stops it after them; answers an object that is filled by then.
 * `prepare` comes last, and may answer something more to stop.
 */
export function useWorld({ stack: stackOptions, prepare = () => {} } = {}) {
  const world = {}
  const closing = []
  const keep = (started, stop) => {
    closing.push(() => stop(started))
    return started
  }
  before(async () => {
    const stack = keep(await startStack(stackOptions), (stack) => stack.stop())
    const demo = keep(await startDemo({ stack }), (demo) => demo.stop())
    const harness = keep(await startHarness(), (harness) => harness.stop())
    const browser = keep(await launch(chromium()), (browser) => browser.close())
    Object.assign(world, stack, { stack, demo, harness, browser })
    keep(await prepare(world), (prepared) => prepared?.stop())
  })
  after(async () => {
    while (closing.length > 0) await closing.pop()()
  })
  return world
}

/** What Supabase publishes for its smallest plan; rates are taken over a minute. */
const FREE_PLAN = {
  users: 200, joinsPerSecond: 100, channelsPerSocket: 100, messagesPerSecond: 100, presencePerSecond: 20, presenceCalls: 5, broadcastBytes: 256 * 1024,
  seconds: 60,
}

/** The tests of this suite run under these limits, and reach none. */
export function withinLimits(world) {
  let limit
  beforeEach(() => {
    limit = world.faults.add({ kind: 'limit', ...FREE_PLAN })
  })
  afterEach(() => {
    const { hits } = world.faults.list()
    world.faults.remove(limit.id)
    assert.deepEqual(Object.keys(FREE_PLAN).filter((name) => hits[name] > 0), [], 'limits that were reached')
  })
}

/** A booking of the operator and the client, and so a conversation; answers its id. */
export async function addBooking({ sql, users }, title = 'Harbour tour') {
  const [{ id }] = await sql`
    insert into public.bookings (title, customer, starts_at, operator_id, client_id)
    values (${title}, 'Mara Lindqvist', now() + interval '1 day', ${users.operator.id}, ${users.client.id}) returning id`
  return id
}

/** The stored messages of a conversation, in order. */
export function rowsOf({ sql }, conversationId) {
  return sql`
    select id, seq::int as seq, sender_id, content from public.chat_messages
    where conversation_id = ${conversationId} and kind = 'message' order by seq`
}

export const textsOf = async (world, conversationId) => (await rowsOf(world, conversationId)).map(({ content }) => content)

/**
 * Exactly these messages are stored, in this order. A page may know of a row before other sessions of the database see
 * it: what is committed is told to the live channel first.
 */
export async function assertStored(world, conversationId, expected) {
  await until(`${expected.length} rows are stored`, async () => (await textsOf(world, conversationId)).length >= expected.length)
  assert.deepEqual(await textsOf(world, conversationId), expected)
}

/** Runs `work` while the database answers every `chat_send` with 403; answers what it answers. */
export async function whileForbidden({ sql }, work) {
  await sql`revoke execute on function public.chat_send from authenticated`
  try {
    return await work()
  } finally {
    await sql`grant execute on function public.chat_send to authenticated`
  }
}
