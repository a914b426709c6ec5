import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openChat } from './support/harness.mjs'
import { until } from './support/until.mjs'
import { addBooking, useWorld } from './support/world.mjs'

const world = useWorld()

/** Runs in a page before its own code: nobody looks at it until `look` says otherwise. */
function hide() {
  let state = 'hidden'
  Object.defineProperty(document, 'visibilityState', { get: () => state })
  Object.defineProperty(document, 'hidden', { get: () => state === 'hidden' })
  window.look = () => {
    state = 'visible'
    document.dispatchEvent(new Event('visibilitychange', { bubbles: true }))
  }
}
const hidden = (page) => page.addInitScript(hide)

const open = async (role, conversation, { context, before } = {}) => openChat(
  world, context ?? await world.browser.newContext(), { user: world.users[role], conversation, before },
)

/** What the server holds of this person: up to where everything was delivered, and read. */
async function marks(role, conversation) {
  const [{ delivered, read }] = await world.sql`
    select delivered_seq::int as delivered, read_seq::int as read from public.chat_members
    where conversation_id = ${conversation} and user_id = ${world.users[role].id}`
  return { delivered, read }
}

/** Every state of this text that the sender's app was told, in order. */
const statesOf = async (chat, id) => (await chat.events()).delivery.filter((event) => event.id === id).map(({ status }) => status)

test('what is stored and never shown is delivered and not read, until somebody looks', async () => {
  const conversation = await addBooking(world)
  const sender = await open('operator', conversation)
  const recipient = await open('client', conversation, { before: hidden })
  await recipient.untilConnected()
  const { message } = await sender.sendAndWait('Are you there?')
  await sender.untilAre(['Are you there?'], ['delivered'])
  // Longer than receipts are gathered, and as long as a page that is looked at would need by far.
  await sender.page.waitForTimeout(3000)
  await sender.untilAre(['Are you there?'], ['delivered'])
  assert.deepEqual(await marks('client', conversation), { delivered: 1, read: 0 })
  await recipient.page.evaluate(() => window.look())
  await sender.untilAre(['Are you there?'], ['read'])
  const states = await statesOf(sender, message.id)
  assert.deepEqual(states.filter((status) => status !== 'sending'), ['sent', 'delivered', 'read'])
})

test('a sender who was away when the receipts came sees them right after reconnecting', async (t) => {
  const conversation = await addBooking(world)
  const context = await world.browser.newContext()
  const sender = await open('operator', conversation, { context })
  await sender.untilConnected()
  await sender.sendAndWait('Read this while I am away')
  await context.setOffline(true)
  const recipient = await open('client', conversation)
  await recipient.untilTexts(['Read this while I am away'])
  await until('it is read', async () => (await marks('client', conversation)).read === 1)
  await sender.untilAre(['Read this while I am away'], ['sent'])
  const began = Date.now()
  await context.setOffline(false)
  await sender.untilAre(['Read this while I am away'], ['read'], 5)
  t.diagnostic(`read ${Date.now() - began} ms after the network was back`)
})

test('what a visible following tab shows is read, though nobody looks at the leader', async () => {
  const conversation = await addBooking(world)
  const context = await world.browser.newContext()
  const leader = await open('client', conversation, { context, before: hidden })
  await leader.untilConnected()
  const follower = await open('client', conversation, { context, before: hidden })
  await follower.untilConnected()
  const sender = await open('operator', conversation)
  await sender.sendAndWait('Seen in the second tab')
  await sender.untilAre(['Seen in the second tab'], ['delivered'])
  await follower.untilTexts(['Seen in the second tab'])
  await follower.page.evaluate(() => window.look())
  await sender.untilAre(['Seen in the second tab'], ['read'])
})

test('a page that goes away leaves its receipts behind', async () => {
  const conversation = await addBooking(world)
  const sender = await open('operator', conversation)
  const recipient = await open('client', conversation)
  await recipient.untilConnected()
  await recipient.page.evaluate(() => {
    // When the second message is on the disk, and within the pause after the first one's receipt.
    window.conversation.subscribe(() => {
      if (window.view().messages.length === 2) setTimeout(() => (location.href = 'about:blank'), 150)
    })
  })
  await sender.sendAndWait('One')
  await until('the first is read', async () => (await marks('client', conversation)).read === 1)
  await sender.sendAndWait('Two')
  await until('the second is read', async () => (await marks('client', conversation)).read === 2, 10)
  assert.equal(recipient.page.url(), 'about:blank')
})
