// What a page keeps of clients that were closed: nothing.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openChat } from './support/harness.mjs'
import { until } from './support/until.mjs'
import { addBooking, useWorld } from './support/world.mjs'

const CLIENTS = 50
const WARM = 10

const world = useWorld()

/** Runs in a page before its own code: counts what is begun and not ended. */
function count() {
  const open = { timers: new Set(), channels: new Set(), sockets: new Set(), databases: new Set(), memories: [] }
  const { add, remove } = { add: EventTarget.prototype.addEventListener, remove: EventTarget.prototype.removeEventListener }
  const key = (target, name) => `${target === window ? 'window' : 'document'} ${name}`
  // The driver listens to what its own clicks would be.
  const counted = (target, name) => (target === window || target === document) && !/mouse|pointer|touch|click|contextmenu|playwright/.test(name)
  const handlers = new Map()
  EventTarget.prototype.addEventListener = function (name, handler, options) {
    const target = this ?? window
    if (counted(target, name)) handlers.set(key(target, name), (handlers.get(key(target, name)) ?? new Set()).add(handler))
    return add.call(target, name, handler, options)
  }
  EventTarget.prototype.removeEventListener = function (name, handler, options) {
    const target = this ?? window
    handlers.get(key(target, name))?.delete(handler)
    return remove.call(target, name, handler, options)
  }
  const { setTimeout, clearTimeout, setInterval, clearInterval } = window
  window.setTimeout = (work, ms, ...rest) => {
    const id = setTimeout((...given) => {
      open.timers.delete(id)
      work(...given)
    }, ms, ...rest)
    open.timers.add(id)
    return id
  }
  window.setInterval = (...given) => {
    const id = setInterval(...given)
    open.timers.add(id)
    return id
  }
  window.clearTimeout = window.clearInterval = (id) => {
    open.timers.delete(id)
    clearTimeout(id)
    clearInterval(id)
  }
  window.BroadcastChannel = class extends BroadcastChannel {
    constructor(name) {
      super(name)
      open.channels.add(this)
    }
    close() {
      open.channels.delete(this)
      super.close()
    }
  }
  window.WebSocket = class extends WebSocket {
    constructor(...given) {
      super(...given)
      open.sockets.add(this)
      add.call(this, 'close', () => open.sockets.delete(this))
    }
  }
  const openDatabase = IDBFactory.prototype.open
  IDBFactory.prototype.open = function (...given) {
    const request = openDatabase.apply(this, given)
    add.call(request, 'success', () => open.databases.add(request.result))
    return request
  }
  const close = IDBDatabase.prototype.close
  IDBDatabase.prototype.close = function () {
    open.databases.delete(this)
    close.call(this)
  }
  const { instantiate } = WebAssembly
  WebAssembly.instantiate = async (...given) => {
    const made = await instantiate(...given)
    const { exports } = made.instance ?? made
    open.memories.push(...Object.values(exports).filter((value) => value instanceof WebAssembly.Memory))
    return made
  }
  window.stillOpen = async () => {
    const locks = await navigator.locks.query()
    return {
      listeners: [...handlers].flatMap(([name, all]) => Array.from(all, () => name)),
      timers: open.timers.size,
      channels: open.channels.size,
      sockets: open.sockets.size,
      databases: open.databases.size,
      locks: locks.held.length + locks.pending.length,
    }
  }
  window.wasmBytes = () => open.memories.reduce((sum, { buffer }) => sum + buffer.byteLength, 0)
}

test(`${CLIENTS} clients are made and closed in one page: no listener, timer, channel, socket, database or lock is left`, async (t) => {
  const conversation = await addBooking(world)
  const chat = await openChat(world, await world.browser.newContext(), {
    user: world.users.operator, conversation, before: (page) => page.addInitScript(count),
  })
  const { page } = chat
  await chat.untilConnected()
  const busy = await page.evaluate(() => window.stillOpen())
  for (const [what, number] of Object.entries(busy)) assert.ok(number.length !== 0 && number !== 0, `${what} are counted`)

  // The first one's conversation is subscribed to for good; what closes is all the rest.
  await page.evaluate(() => window.client.cleanup())
  const live = (sends) => page.evaluate(async ([{ url, apiKey }, conversation, sends]) => {
    const { createChatClient } = await import('/pkg/index.js')
    const client = createChatClient({ url, apiKey, accessToken: () => window.nextToken() })
    const unwatch = client.conversation(conversation).subscribe(() => {})
    const unlist = client.conversations.subscribe(() => {})
    const connected = new Promise((resolve) => client.on('connection_status', ({ status }) => status === 'connected' && resolve()))
    await client.connect()
    if (sends) await client.send(conversation, { content: 'Hello' }).sent
    await connected
    unwatch()
    unlist()
    return client.cleanup()
  }, [{ url: world.stack.url, apiKey: world.apiKey }, conversation, sends])

  let warm = 0
  for (let number = 1; number <= CLIENTS; number++) {
    // Later ones find the conversation as it was, and so need no more memory.
    assert.equal(await live(number <= WARM), 0)
    if (number === WARM) warm = await page.evaluate(() => window.wasmBytes())
  }
  const nothing = { listeners: [], timers: 0, channels: 0, sockets: 0, databases: 0, locks: 0 }
  const left = () => page.evaluate(() => window.stillOpen())
  await until('all is ended', async () => Object.values(await left()).every((number) => number === 0 || number.length === 0)).catch(() => {})
  assert.deepEqual(await left(), nothing)
  const bytes = await page.evaluate(() => window.wasmBytes())
  t.diagnostic(`WebAssembly memory after ${WARM} clients: ${warm} bytes, after ${CLIENTS}: ${bytes}`)
  assert.ok(warm > 0)
  assert.equal(bytes, warm)
  assert.deepEqual(chat.exceptions, [])
})
