// After the last tab: the app's own service worker sends what is unsent when the browser wakes it.
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { openChat, STORED } from './support/harness.mjs'
import { until } from './support/until.mjs'
import { addBooking, assertStored, rowsOf, textsOf, useWorld } from './support/world.mjs'

const world = useWorld()

/** A context whose origin has the app's service worker, and what it asks of the server. */
async function openContext() {
  const { url } = world.stack
  world.harness.put('/service-worker.js', `
    import { drainOnSync } from '/pkg/service-worker.js'
    drainOnSync({ url: ${JSON.stringify(url)}, apiKey: ${JSON.stringify(world.apiKey)} })
    addEventListener('install', () => skipWaiting())
    addEventListener('activate', (event) => event.waitUntil(clients.claim()))
  `)
  const context = await world.browser.newContext()
  await context.grantPermissions(['background-sync'], { origin: world.harness.url })
  const asked = []
  context.on('request', (request) => {
    if (request.serviceWorker() && request.url().startsWith(url)) asked.push(request.url().split('/').at(-1))
  })
  return { context, asked }
}

const registerWorker = (page) => page.evaluate(async () => {
  await navigator.serviceWorker.register('/service-worker.js', { type: 'module' })
  await navigator.serviceWorker.ready
})

async function open(context, conversation, options = { backgroundSync: true }) {
  const tab = await openChat(world, context, { user: world.users.operator, conversation, options, before: async (page) => {
    await page.goto(world.harness.url)
    await registerWorker(page)
  } })
  await tab.untilConnected()
  return tab
}

/** What the browser does when it has a network: resolves when the event was handed over. */
async function syncEvents(context) {
  const page = await context.newPage()
  const session = await context.newCDPSession(page)
  let registrationId
  session.on('ServiceWorker.workerRegistrationUpdated', ({ registrations }) => {
    registrationId = registrations.find(({ isDeleted }) => !isDeleted)?.registrationId ?? registrationId
  })
  await session.send('ServiceWorker.enable')
  await until('the service worker is known', () => registrationId)
  const origin = new URL(world.harness.url).origin
  const tag = `surechat:${new URL(world.stack.url).host}`
  return {
    fire: () => session.send('ServiceWorker.dispatchSyncEvent', { origin, registrationId, tag, lastChance: false }),
    close: () => page.close(),
  }
}

const databases = (page) => page.evaluate(async () => (await indexedDB.databases()).map(({ name }) => name))
const tokenDatabase = () => `surechat-token:${new URL(world.stack.url).host}`

test('the last tab is closed with messages unsent: the service worker sends each once, in order', async () => {
  const conversation = await addBooking(world)
  const { context, asked } = await openContext()
  const tab = await open(context, conversation)
  const sync = await syncEvents(context)
  const refusal = world.faults.add({ kind: 'refuse', match: 'rest' })
  await context.setOffline(true)
  const texts = ['Left behind', 'And this', 'And that']
  for (const text of texts) await tab.send(text)
  await tab.page.close()
  assert.deepEqual(await textsOf(world, conversation), [])
  world.faults.remove(refusal.id)
  await context.setOffline(false)
  await sync.fire()
  await assertStored(world, conversation, texts)
  assert.deepEqual([...new Set(asked)], ['chat_send'], 'it reads nothing')

  await sync.fire()
  const next = await open(context, conversation)
  await next.untilAre(texts, STORED)
  assert.equal((await next.view()).pendingCount, 0)
  assert.equal((await rowsOf(world, conversation)).length, texts.length)
  assert.deepEqual([...tab.exceptions, ...next.exceptions], [])
})

test('while a tab leads the service worker does nothing', async () => {
  const conversation = await addBooking(world)
  const { context, asked } = await openContext()
  const tab = await open(context, conversation)
  const sync = await syncEvents(context)
  const refusal = world.faults.add({ kind: 'refuse', match: 'send' })
  await tab.send('The tab\'s own')
  const { held: before } = await tab.page.evaluate(() => navigator.locks.query())
  await sync.fire()
  await tab.page.waitForTimeout(1500)
  const { held, pending } = await tab.page.evaluate(() => navigator.locks.query())
  assert.deepEqual([held[0].clientId, held.length, pending.length], [before[0].clientId, 1, 0])
  assert.deepEqual(asked, [])
  world.faults.remove(refusal.id)
  await tab.untilAre(['The tab\'s own'], STORED)
  await assertStored(world, conversation, ['The tab\'s own'])
  assert.deepEqual(asked, [])
})

test('the token is kept only while the option is on, and not after signing out', async () => {
  const conversation = await addBooking(world)
  const { context } = await openContext()
  const on = await open(context, conversation)
  await until('the token is kept', async () => (await databases(on.page)).includes(tokenDatabase()))
  await on.page.evaluate(() => window.client.signOut())
  assert.ok(!(await databases(on.page)).includes(tokenDatabase()))
  await on.page.evaluate(() => window.client.connect())
  await until('the token is kept again', async () => (await databases(on.page)).includes(tokenDatabase()))
  await on.page.close()

  const off = await open(context, conversation, {})
  await until('the token is forgotten', async () => !(await databases(off.page)).includes(tokenDatabase()))
  await off.sendAndWait('Without it')
  assert.ok(!(await databases(off.page)).includes(tokenDatabase()))
})

/** The golden file of the kept token, for this project and this token. */
async function keptToken(token) {
  const golden = await readFile(new URL('../golden/access-token.json', import.meta.url), 'utf8')
  return JSON.parse(golden.replace('<project>', new URL(world.stack.url).host).replace('<access token>', token))
}

/** What lies in the database of that name, whoever wrote it. */
const contentsOf = (page, database) => page.evaluate(async (database) => {
  const settled = (request) => new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error)
  })
  const db = await settled(indexedDB.open(database))
  const [name, ...others] = db.objectStoreNames
  const store = db.transaction(name).objectStore(name)
  const [keys, values] = await Promise.all([settled(store.getAllKeys()), settled(store.getAll())])
  const { keyPath: key_path, autoIncrement: auto_increment } = store
  db.close()
  return {
    database, version: db.version, store: { name, key_path, auto_increment },
    records: keys.map((key, at) => ({ key, value: values[at] })), ...(others.length > 0 && { others }),
  }
}, database)

/** Leaves behind what an earlier page wrote, in place of what is there. */
const leave = (page, { database, version, store, records }) => page.evaluate(async ({ database, version, store, records }) => {
  const done = (request) => new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result)
    request.onerror = request.onblocked = () => reject(request.error ?? new Error('blocked'))
  })
  await done(indexedDB.deleteDatabase(database))
  const opening = indexedDB.open(database, version)
  opening.onupgradeneeded = () => opening.result.createObjectStore(store.name, { keyPath: store.key_path, autoIncrement: store.auto_increment })
  const db = await done(opening)
  const transaction = db.transaction(store.name, 'readwrite')
  for (const { key, value } of records) transaction.objectStore(store.name).put(value, key)
  await new Promise((resolve) => { transaction.oncomplete = resolve })
  db.close()
}, { database, version, store, records })

test('the token is kept as the golden file says, and one kept so by an earlier page is read', async () => {
  const conversation = await addBooking(world)
  const { context, asked } = await openContext()
  const token = await world.tokenFor(world.users.operator.id)
  const tab = await openChat(world, context, {
    user: world.users.operator, conversation, token: () => token, options: { backgroundSync: true },
    before: async (page) => {
      await page.goto(world.harness.url)
      await registerWorker(page)
    },
  })
  await tab.untilConnected()
  const golden = await keptToken(token)
  await until('the token is kept', async () => (await databases(tab.page)).includes(golden.database))
  assert.deepEqual(await contentsOf(tab.page, golden.database), golden)

  const sync = await syncEvents(context)
  const refusal = world.faults.add({ kind: 'refuse', match: 'rest' })
  await tab.send('Left behind')
  await tab.page.close()
  const other = await context.newPage()
  await other.goto(world.harness.url)
  await leave(other, golden)
  world.faults.remove(refusal.id)
  await sync.fire()
  await assertStored(world, conversation, ['Left behind'])
  assert.deepEqual([...new Set(asked)], ['chat_send'])
})
