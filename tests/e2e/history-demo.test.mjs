import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openDemo } from './support/demo.mjs'
import { until } from './support/until.mjs'
import { addBooking, useWorld } from './support/world.mjs'

const world = useWorld()

async function talk(count) {
  const id = await addBooking(world)
  const { sql, users } = world
  await sql`
    insert into public.chat_messages (id, conversation_id, seq, sender_id, sender_role, content)
    select gen_random_uuid(), ${id}, n, ${users.client.id}, 'client', 'Message ' || n from generate_series(1, ${count}) n`
  await sql`update public.chat_conversations set last_seq = ${count} where id = ${id}`
  return id
}

const first = async (person) => (await person.texts())[0]
const button = ({ page }) => page.getByRole('button', { name: 'Load older messages' })

for (const role of ['operator', 'client']) {
  test(`the ${role} scrolls up and reads on: what is read stays where it is, down to the beginning`, async () => {
    const booking = await talk(130)
    const person = await openDemo(world, await world.browser.newContext(), role, { booking })
    await until('the newest page is there', async () => (await first(person)) === 'Message 81')
    const { log } = person
    const placeOf = (text) => person.message(text).evaluate((element) => element.getBoundingClientRect().top)
    await log.evaluate((box) => (box.scrollTop = 150))
    const seen = await placeOf('Message 84')
    await until('an older page is there', async () => (await first(person)) === 'Message 31')
    await until('it stays', async () => Math.abs((await placeOf('Message 84')) - seen) <= 2)
    assert.equal((await person.texts()).length, 100, 'and no page more, for nobody scrolled on')

    await log.evaluate((box) => (box.scrollTop = 0))
    await until('the last page is there', async () => (await first(person)) === 'Message 1')
    await log.evaluate((box) => (box.scrollTop = 0))
    await person.page.getByText('This is where the conversation begins.').waitFor()
    assert.equal(await button(person).count(), 0)
    assert.deepEqual(await person.texts(), Array.from({ length: 130 }, (_, n) => `Message ${n + 1}`))
    assert.deepEqual(person.exceptions, [])
  })
}

test('without a connection it says so and offers to try again, with the keyboard too', async () => {
  const booking = await talk(130)
  const operator = await openDemo(world, await world.browser.newContext(), 'operator', { booking })
  const { page, log } = operator
  await operator.untilConnection('connected')
  await until('the newest page is there', async () => (await first(operator)) === 'Message 81')
  const fault = world.faults.add({ kind: 'offline', user: world.users.operator.id })
  await log.evaluate((box) => (box.scrollTop = 0))
  await page.getByText('Older messages are not on this device: they need a connection.').waitFor()
  world.faults.remove(fault.id)
  const again = page.getByRole('button', { name: /Try again|Load older messages/ })
  if (await again.count() > 0) {
    await again.focus()
    await page.keyboard.press('Enter')
  }
  await until('an older page is there', async () => (await first(operator)) === 'Message 31', 40)
  assert.deepEqual(operator.exceptions, [])
})
