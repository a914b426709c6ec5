import assert from 'node:assert/strict'
import { test } from 'node:test'
import { addManyBookings } from '../../dev/demo/lib/many-bookings.mjs'
import { openDemo } from './support/demo.mjs'
import { addBooking, assertStored, useWorld, whileForbidden } from './support/world.mjs'

const world = useWorld()

const MOST_STOPS = 40

/** Presses Tab until the focus is on the element. */
async function tabTo(page, element, key = 'Tab') {
  for (let stops = 0; stops < MOST_STOPS; stops++) {
    if (await element.evaluate((element) => element === document.activeElement)) return
    await page.keyboard.press(key)
  }
  assert.fail(`${element} cannot be reached with ${key}`)
}

test('a booking, the composer, Send and Retry are reached and used with the keyboard alone', async () => {
  const title = 'Reached without a mouse'
  const booking = await addBooking(world, title)
  const operator = await openDemo(world, await world.browser.newContext(), 'operator', { booking: '' })
  const { page } = operator
  const choice = page.getByRole('navigation', { name: 'Bookings' }).getByRole('button', { name: title })
  await choice.waitFor()
  await tabTo(page, choice)
  await page.keyboard.press('Enter')
  await operator.untilConnection('connected')

  await tabTo(page, operator.composer)
  await page.keyboard.type('Sent with Enter')
  await page.keyboard.press('Enter')
  await operator.untilShown('Sent with Enter', 'sent')

  await page.keyboard.type('Sent with the button')
  await tabTo(page, page.getByRole('button', { name: 'Send', exact: true }))
  await page.keyboard.press('Space')
  await operator.untilShown('Sent with the button', 'sent')

  const failed = 'Failed at first'
  await tabTo(page, operator.composer, 'Shift+Tab')
  await whileForbidden(world, async () => {
    await page.keyboard.type(failed)
    await page.keyboard.press('Enter')
    await operator.untilShown(failed, 'failed')
  })
  await tabTo(page, operator.retryButtonOf(failed), 'Shift+Tab')
  await page.keyboard.press('Enter')
  await operator.untilShown(failed, 'sent')
  await assertStored(world, booking, ['Sent with Enter', 'Sent with the button', failed])
})

test('among hundreds of bookings, who chooses one with the keyboard is in its composer, and Escape leads back', async () => {
  const ids = await addManyBookings(world, 120)
  const operator = await openDemo(world, await world.browser.newContext(), 'operator', { booking: '' })
  const { page, composer } = operator
  const rows = page.locator('.booking')
  await page.waitForFunction((count) => document.querySelectorAll('.booking').length >= count, ids.length)
  const isFocused = (element) => element.evaluate((element) => element === document.activeElement)
  await rows.nth(2).focus()
  await page.keyboard.press('Enter')
  assert.ok(await isFocused(composer))
  await page.keyboard.type('Found without a mouse')
  await page.keyboard.press('Enter')
  await operator.untilShown('Found without a mouse', 'sent')
  await page.keyboard.press('Escape')
  const chosen = page.locator('.booking[aria-current]')
  assert.ok(await isFocused(chosen))
  await page.keyboard.press('Enter')
  assert.ok(await isFocused(composer), 'also when it is chosen again')

  await rows.nth(4).click()
  assert.ok(!await isFocused(composer), 'a finger or a mouse does not call up a phone’s keyboard')
  assert.deepEqual(operator.exceptions, [])
})

test('the connection is a status, the messages are a log, ticks and failures have names', async () => {
  const booking = await addBooking(world)
  const context = await world.browser.newContext()
  const operator = await openDemo(world, context, 'operator', { booking })
  const { page } = operator
  const status = (text) => page.getByRole('status').filter({ hasText: text })
  await status(/^Connected/).waitFor()
  const log = page.getByRole('log', { name: 'Conversation with Mara Lindqvist' })
  assert.equal(await log.getAttribute('aria-live'), 'polite')
  assert.equal(await operator.composer.getAttribute('id').then((id) => page.locator(`label[for='${id}']`).textContent()), 'Message')

  await operator.write('Hello')
  await log.getByRole('article', { name: /^You, / }).getByRole('img', { name: 'Sent' }).waitFor()

  await context.setOffline(true)
  await status(/^Disconnected/).waitFor()
  await status('No connection. Your messages are kept').waitFor()
  await context.setOffline(false)
  await status(/^Connected/).waitFor()
  const refusal = world.faults.add({ kind: 'refuse', match: 'send' })
  await operator.write('Still there?')
  await log.getByRole('img', { name: /^Sending/ }).waitFor()
  await status('1 message not sent yet.').waitFor()
  await log.locator('[aria-live=polite]').getByRole('img', { name: /^Failed/ }).waitFor()
  await log.getByRole('button', { name: 'Retry' }).waitFor()
  world.faults.remove(refusal.id)
})

test('that what was missed is on its way is said, and then it is there', async () => {
  const booking = await addBooking(world)
  const context = await world.browser.newContext()
  const operator = await openDemo(world, context, 'operator', { booking })
  const client = await openDemo(world, await world.browser.newContext(), 'client', { booking })
  await client.untilConnection('connected')
  await client.write('Hello')
  await operator.untilTexts(['Hello'])
  await context.setOffline(true)
  await operator.untilConnection('disconnected')
  await client.write('Are you there?')
  await client.untilShown('Are you there?', 'sent')
  const slow = world.faults.add({ kind: 'delay', match: 'sync', ms: 4000, user: world.users.operator.id })
  await context.setOffline(false)
  const said = operator.page.getByRole('status').filter({ hasText: 'Catching up…' })
  await said.waitFor()
  assert.deepEqual(await operator.texts(), ['Hello'])
  world.faults.remove(slow.id)
  await operator.untilTexts(['Hello', 'Are you there?'])
  await said.waitFor({ state: 'detached' })
})
