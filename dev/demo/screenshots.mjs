// Every state of the demo's pages as PNGs in dev/demo/screenshots, at desktop and phone width: for looking at.
// Names of scenes as arguments: only those.
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { chromium } from '../../scripts/setup.mjs'
import { startStack } from '../stack/index.mjs'
import { addBooking, composer, launch, say, until, untilConnection } from './lib/browser.mjs'
import { addManyBookings } from './lib/many-bookings.mjs'
import { startDemo } from './server.mjs'

const FOLDER = fileURLToPath(new URL('./screenshots/', import.meta.url))
const SIZES = { desktop: { width: 1280, height: 800 }, phone: { width: 390, height: 844 } }

const TALK = [
  ['client', 'Hello! We are six now instead of four, my sister is coming with her son. Is that all right?', '-26 hours'],
  ['operator', 'Good morning Mara. Six is fine, the boat takes eight.', '-25 hours -40 minutes'],
  ['operator', 'The boy needs a life vest in his size: how tall is he?', '-25 hours -39 minutes'],
  ['client', '1.25 m', '-25 hours -10 minutes'],
  ['system', '🔄 Status updated to: confirmed', '-50 minutes'],
  ['operator', 'All set. We meet at pier 4, below the old crane:\nhttps://maps.example.com/harbour/piers/4?entrance=north-side-gate-behind-the-market-hall', '-48 minutes'],
  ['client', 'Perfect 👍', '-45 minutes'],
]

const stack = await startStack()
const demo = await startDemo({ stack })
const browser = await launch(chromium())
await mkdir(FOLDER, { recursive: true })

async function rpc(name, token, body) {
  const answer = await fetch(`${stack.url}/rest/v1/rpc/${name}`, {
    method: 'POST',
    headers: { apikey: stack.apiKey, authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  if (!answer.ok) throw new Error(`${name}: ${answer.status} ${await answer.text()}`)
}

/** A booking with a conversation of two days. */
async function talkedAbout(title) {
  const booking = await addBooking(stack, { title })
  for (const [who, content, ago] of TALK) {
    const id = crypto.randomUUID()
    if (who === 'system') await rpc('chat_post_system', stack.serviceKey, { conversation_id: booking, content, id })
    else {
      const { id: user } = stack.users[who]
      await rpc('chat_send', await stack.tokenFor(user), { expected_user: user, batch: [{ id, conversation_id: booking, content }] })
    }
    await stack.sql`update public.chat_messages set created_at = now() + ${ago}::interval where id = ${id}`
  }
  for (const { id: user } of [stack.users.operator, stack.users.client]) {
    await rpc('chat_ack', await stack.tokenFor(user), {
      expected_user: user, acks: [{ conversation_id: booking, delivered: TALK.length, read: TALK.length }],
    })
  }
  return booking
}

/** A booking about which the client has written so much that it comes in pages. */
async function longTalk(messages) {
  const booking = await addBooking(stack, { title: 'Harbour tour, two hours' })
  await stack.sql`
    insert into public.chat_messages (id, conversation_id, seq, sender_id, sender_role, content, created_at)
    select gen_random_uuid(), ${booking}, n, ${stack.users.client.id}, 'client', 'Note ' || n || ' about the tour',
      now() - (${messages} - n) * interval '10 minutes'
    from generate_series(1, ${messages}) n`
  await stack.sql`update public.chat_conversations set last_seq = ${messages} where id = ${booking}`
  return booking
}

const toTop = (page) => page.getByRole('log').evaluate((box) => (box.scrollTop = 0))

async function open(role, { booking, scheme = 'light', before = async () => {} }) {
  const context = await browser.newContext({ viewport: SIZES.desktop, colorScheme: scheme, reducedMotion: 'reduce' })
  const page = await context.newPage()
  await before(page)
  await page.goto(`${demo.url}${role === 'start' ? '/' : `/${role}`}${booking ? `?booking=${booking}` : ''}`)
  return page
}

async function shoot(page, name) {
  for (const [size, viewport] of Object.entries(SIZES)) {
    await page.setViewportSize(viewport)
    // The package shows what lasts longer than a blip.
    await page.waitForTimeout(900)
    await page.screenshot({ path: join(FOLDER, `${name}-${size}.png`) })
  }
}

const fault = (kind, role, options) => stack.faults.add({ kind, user: stack.users[role].id, ...options })
/** Edits a message of this person, or without content deletes it, as from another device. */
async function change(booking, who, like, content) {
  const { id: user } = stack.users[who]
  const [{ id: target }] = await stack.sql`
    select id from public.chat_messages where conversation_id = ${booking} and content like ${`%${like}`}`
  const row = { id: crypto.randomUUID(), conversation_id: booking, kind: content ? 'edit' : 'delete', target_id: target, content: content ?? '' }
  await rpc('chat_send', await stack.tokenFor(user), { expected_user: user, batch: [row] })
}

const menuOf = (page, text) => page.locator('.message', { hasText: text }).getByRole('button', { name: 'Edit or delete' })
const newestIs = (page, status) => page.locator(`.message[data-status='${status}']`).last().waitFor()

async function connected(role, scheme = 'light') {
  const booking = await talkedAbout('Harbour tour, two hours')
  const page = await open(role, { booking, scheme })
  await untilConnection(page, 'connected')
  await page.getByRole('log').getByText('Perfect').waitFor()
  return { page, booking }
}

async function disconnected(role, scheme) {
  const { page } = await connected(role, scheme)
  fault('offline', role)
  await untilConnection(page, 'disconnected')
  await say(page, 'We will be ten minutes late, sorry!')
  await say(page, 'Traffic on the bridge.')
  return page
}

/** The other one is there, and types. */
async function typing(role, other, scheme) {
  const { page, booking } = await connected(role, scheme)
  const peer = await open(other, { booking })
  await page.locator('.presence').waitFor()
  await composer(peer).pressSequentially('See you')
  const keys = setInterval(() => composer(peer).press('!').catch(() => clearInterval(keys)), 2000)
  await page.locator('.typing', { hasText: 'is typing' }).waitFor()
  return page
}

/** A busy dashboard, in which two customers write while it is looked at. */
async function manyBookings(scheme) {
  const ids = await addManyBookings(stack, 500)
  const page = await open('operator', { scheme })
  await page.locator('.badge').first().waitFor()
  const { id: user } = stack.users.client
  for (const [n, content] of [[40, 'Where exactly do we meet? We are at the old crane, and there are three piers here.'], [41, 'One'], [41, 'Two']]) {
    await rpc('chat_send', await stack.tokenFor(user), {
      expected_user: user, batch: [{ id: crypto.randomUUID(), conversation_id: ids[n], content }],
    })
  }
  await page.locator('.booking').first().getByText('Two', { exact: true }).waitFor()
  return { page, ids }
}

const SCENES = {
  'typing-operator': () => typing('operator', 'client'),
  'typing-client-dark': () => typing('client', 'operator', 'dark'),
  async polling() {
    fault('refuse_sockets', 'client')
    const page = await open('client', { booking: await talkedAbout('Harbour tour, two hours') })
    await page.getByText('Live updates are out of reach').waitFor({ timeout: 40_000 })
    return page
  },
  'connected-operator': async () => (await connected('operator')).page,
  'connected-client': async () => (await connected('client')).page,
  'connected-operator-dark': async () => (await connected('operator', 'dark')).page,
  'connected-client-dark': async () => (await connected('client', 'dark')).page,
  async connecting() {
    const booking = await talkedAbout('Harbour tour, two hours')
    fault('mute_sockets', 'operator')
    const page = await open('operator', { booking })
    await untilConnection(page, 'connecting')
    return page
  },
  async reconnecting() {
    const { page } = await connected('operator')
    fault('refuse_sockets', 'operator')
    fault('cut_sockets', 'operator')
    await untilConnection(page, 'reconnecting')
    return page
  },
  async disconnected() {
    const page = await disconnected('operator')
    await newestIs(page, 'sending')
    return page
  },
  async 'disconnected-failed'() {
    const page = await disconnected('client')
    await newestIs(page, 'failed')
    return page
  },
  async 'disconnected-failed-dark'() {
    const page = await disconnected('operator', 'dark')
    await newestIs(page, 'failed')
    return page
  },
  async needs_auth() {
    const { page } = await connected('operator')
    fault('status', 'operator', { status: 401 })
    await say(page, 'See you at pier 4.')
    await untilConnection(page, 'needs_auth')
    return page
  },
  async sending() {
    const { page } = await connected('client')
    fault('delay', 'client', { match: 'send', ms: 9000 })
    await say(page, 'We are on our way.')
    await newestIs(page, 'sending')
    return page
  },
  async sent() {
    const { page } = await connected('client')
    await say(page, 'We are on our way.')
    await newestIs(page, 'sent')
    return page
  },
  async delivered() {
    const { page } = await connected('client')
    const other = await open('operator', { booking: await addBooking(stack, { title: 'Sunset sailing' }) })
    await untilConnection(other, 'connected')
    await say(page, 'We are on our way.')
    await newestIs(page, 'delivered')
    return page
  },
  async read() {
    const { page, booking } = await connected('client')
    const other = await open('operator', { booking })
    await untilConnection(other, 'connected')
    await say(page, 'We are on our way.')
    await newestIs(page, 'read')
    return page
  },
  async failed() {
    const { page } = await connected('operator')
    fault('status', 'operator', { match: 'send', status: 503 })
    await say(page, 'The weather will be fine.')
    await say(page, 'Bring something warm all the same.')
    await newestIs(page, 'failed')
    return page
  },
  async refused() {
    const { page } = await connected('operator')
    fault('status', 'operator', { match: 'send', status: 403, count: 2 })
    await say(page, 'The weather will be fine.')
    await newestIs(page, 'failed')
    await say(page, 'Bring something warm all the same.')
    await newestIs(page, 'sent')
    return page
  },
  async 'refused-and-waiting'() {
    const { page } = await connected('client')
    fault('status', 'client', { match: 'send', status: 403, count: 2 })
    await say(page, 'The weather will be fine.')
    await newestIs(page, 'failed')
    fault('status', 'client', { match: 'send', status: 503 })
    await say(page, 'Bring something warm all the same.')
    return page
  },
  async menu() {
    const { page } = await connected('operator')
    await menuOf(page, 'Six is fine').press('Enter')
    await page.getByRole('menuitem', { name: 'Delete' }).waitFor()
    return page
  },
  async 'menu-of-the-newest'() {
    const { page } = await connected('client', 'dark')
    await menuOf(page, 'Perfect').press('Enter')
    await page.getByRole('menuitem', { name: 'Delete' }).waitFor()
    return page
  },
  async editing() {
    const { page } = await connected('operator')
    await menuOf(page, 'All set').press('Enter')
    await page.getByRole('menuitem', { name: 'Edit' }).press('Enter')
    await page.getByRole('textbox', { name: 'Edit the message' }).waitFor()
    return page
  },
  async 'edited-and-deleted'() {
    const { page, booking } = await connected('operator')
    await change(booking, 'operator', 'Six is fine%', 'Good morning Mara. Six is fine, the boat takes ten.')
    await change(booking, 'operator', 'The boy needs%')
    await change(booking, 'client', '1.25%')
    await page.getByText('Message deleted').nth(1).waitFor()
    return page
  },
  async empty() {
    const page = await open('client', { booking: await addBooking(stack, { title: 'Sunset sailing' }) })
    await page.getByText('No messages yet').waitFor()
    return page
  },
  async 'empty-offline'() {
    const booking = await talkedAbout('Harbour tour, two hours')
    const page = await open('client', { booking: await addBooking(stack, { title: 'Sunset sailing' }) })
    await untilConnection(page, 'connected')
    fault('offline', 'client')
    await page.goto(`${demo.url}/client?booking=${booking}`)
    await page.getByText('The conversation cannot be shown').waitFor()
    return page
  },
  async 'empty-offline-in-the-list'() {
    const booking = await talkedAbout('Harbour tour, two hours')
    const page = await open('operator', { booking: await addBooking(stack, { title: 'Sunset sailing' }) })
    await page.locator('.booking').getByText('Perfect').waitFor()
    fault('offline', 'operator')
    await page.goto(`${demo.url}/operator?booking=${booking}`)
    await page.getByText('No messages on this device').waitFor()
    return page
  },
  async 'catching-up'() {
    const { page, booking } = await connected('operator')
    const offline = fault('offline', 'operator')
    await untilConnection(page, 'disconnected')
    const { id: user } = stack.users.client
    await rpc('chat_send', await stack.tokenFor(user), {
      expected_user: user, batch: [{ id: crypto.randomUUID(), conversation_id: booking, content: 'Are you there?' }],
    })
    fault('delay', 'operator', { match: 'sync', ms: 9000 })
    stack.faults.remove(offline.id)
    await page.getByText('Catching up').waitFor()
    return page
  },
  async loading() {
    const booking = await talkedAbout('Harbour tour, two hours')
    fault('delay', 'client', { match: 'sync', ms: 9000 })
    const page = await open('client', { booking })
    await page.locator('.placeholder').first().waitFor()
    return page
  },
  async 'error-core'() {
    const booking = await talkedAbout('Harbour tour, two hours')
    const page = await open('client', { booking, before: (page) => page.route('**/*.wasm', (route) => route.abort()) })
    await page.getByText('The conversation cannot be shown').waitFor()
    return page
  },
  async 'error-not-a-member'() {
    const booking = await addBooking(stack, { title: 'Sunset sailing' })
    await stack.sql`delete from public.chat_members where conversation_id = ${booking}`
    const page = await open('operator', { booking })
    await page.getByRole('alert').waitFor()
    return page
  },
  async 'error-bookings'() {
    fault('status', 'operator', { status: 503 })
    const page = await open('operator', {})
    await page.getByText('could not be loaded').waitFor()
    return page
  },
  async 'error-text'() {
    const { page } = await connected('client')
    await composer(page).fill('A very long story. '.repeat(4000))
    await composer(page).press('Enter')
    await page.getByRole('alert').waitFor()
    return page
  },
  async 'signed-out'() {
    const page = await disconnected('client')
    await page.getByRole('button', { name: 'Sign out' }).click()
    await page.getByRole('button', { name: 'Sign in' }).waitFor()
    return page
  },
  async 'no-booking'() {
    const page = await open('operator', {})
    await page.getByText('Choose a booking').waitFor()
    return page
  },
  async 'new-messages'() {
    const { page, booking } = await connected('client')
    for (let line = 1; line <= 20; line++) await say(page, `Question ${line}`)
    const log = page.getByRole('log')
    await log.evaluate((box) => (box.scrollTop = 0))
    const other = await open('operator', { booking })
    await untilConnection(other, 'connected')
    await say(other, 'One at a time, please.')
    await page.getByRole('button', { name: 'New messages' }).waitFor()
    return page
  },
  async 'many-bookings'() {
    const { page } = await manyBookings()
    return page
  },
  async 'many-bookings-dark'() {
    const { page } = await manyBookings('dark')
    return page
  },
  async 'many-bookings-offline'() {
    const { page } = await manyBookings()
    fault('offline', 'operator')
    await page.getByText('Offline: unread counts').waitFor()
    return page
  },
  async 'no-bookings'() {
    await stack.sql`update public.bookings set operator_id = ${stack.users.stranger.id}`
    const page = await open('operator', {})
    await page.getByText('There are no bookings').waitFor()
    return page
  },
  async start() {
    const page = await open('start', {})
    for (const role of ['Operator', 'Client']) {
      const frame = page.frameLocator(`iframe[title^='${role}']`)
      await frame.locator(".surechat-connection[data-status='connected']").waitFor()
      await say(frame, `Hello from the ${role.toLowerCase()}.`)
    }
    await page.getByRole('button', { name: 'Slow: Client' }).click()
    return page
  },
  async 'older-beginning'() {
    const page = await open('client', { booking: await longTalk(60) })
    await page.getByRole('log').getByText('Note 60 about the tour').waitFor()
    await toTop(page)
    await page.getByText('This is where the conversation begins.').waitFor()
    await page.waitForTimeout(300)
    await toTop(page)
    return page
  },
  async 'older-loading'() {
    const page = await open('operator', { booking: await longTalk(130) })
    await page.getByRole('log').getByText('Note 130 about the tour').waitFor()
    await untilConnection(page, 'connected')
    fault('delay', 'operator', { ms: 4000, match: 'sync' })
    await toTop(page)
    await page.getByRole('button', { name: 'Loading older messages…' }).waitFor()
    return page
  },
  async 'older-offline'() {
    const page = await open('operator', { booking: await longTalk(130) })
    await page.getByRole('log').getByText('Note 130 about the tour').waitFor()
    await untilConnection(page, 'connected')
    fault('offline', 'operator')
    await toTop(page)
    await page.getByText('Older messages are not on this device').waitFor()
    return page
  },
  async 'start-faults'() {
    const page = await open('start', { scheme: 'dark' })
    await page.setViewportSize(SIZES.phone)
    await page.getByRole('button', { name: 'Faults', exact: true }).click()
    await page.getByRole('button', { name: 'Offline: Operator' }).click()
    await until('the switch is on', () => page.getByRole('button', { name: 'Offline: Operator', pressed: true }).isVisible())
    return page
  },
}

const wanted = process.argv.slice(2)
try {
  for (const [name, scene] of Object.entries(SCENES)) {
    if (wanted.length > 0 && !wanted.includes(name)) continue
    try {
      await shoot(await scene(), name)
      console.log(`ok      ${name}`)
    } catch (error) {
      process.exitCode = 1
      console.error(`FAILED  ${name}: ${error.message}`)
      const page = browser.contexts().flatMap((context) => context.pages()).at(-1)
      await page?.screenshot({ path: join(FOLDER, `${name}-failed.png`) }).catch(() => {})
    }
    stack.faults.clear()
    await stack.sql`delete from public.bookings where id::text not like 'b0000000-%'`
    await stack.sql`delete from public.chat_conversations where id not like 'b0000000-%'`
    await stack.sql`update public.bookings set operator_id = ${stack.users.operator.id}`
    for (const context of browser.contexts()) await context.close()
  }
} finally {
  await browser.close()
  await demo.stop()
  await stack.stop()
}
