// Who is there and who types, on the demo's pages; and that messages do without it.
import assert from 'node:assert/strict'
import { afterEach, test } from 'node:test'
import { openDemo } from './support/demo.mjs'
import { addBooking, assertStored, useWorld, withinLimits } from './support/world.mjs'

const world = useWorld()
withinLimits(world)
const contexts = []
afterEach(async () => {
  world.faults.clear()
  for (const context of contexts.splice(0)) await context.close()
})

async function context() {
  contexts.push(await world.browser.newContext())
  return contexts.at(-1)
}

/** The operator's and the client's page at a new booking, both connected. */
async function bothAt(booking) {
  const people = []
  for (const role of ['operator', 'client']) people.push(await openDemo(world, await context(), role, { booking }))
  for (const person of people) await person.untilConnection('connected')
  return people
}

const SOON = { timeout: 20_000 }
const presence = ({ page }) => page.locator('.presence')
const typing = ({ page }, words) => page.locator('.typing', { hasText: words })
const quiet = ({ page }) => page.locator('.typing:empty')

test('both see the other one there, and no more when the page is closed', async () => {
  const [operator, client] = await bothAt(await addBooking(world))
  await presence(operator).getByText('Mara Lindqvist is here').waitFor(SOON)
  await presence(client).getByText('Your operator is here').waitFor(SOON)
  await client.page.close()
  await presence(operator).waitFor({ state: 'detached', ...SOON })
})

test('typing is seen, and ends by itself, with an empty text, and with the message', async () => {
  const [operator, client] = await bothAt(await addBooking(world))
  await presence(operator).waitFor(SOON)
  await presence(client).waitFor(SOON)
  assert.equal(await operator.page.locator('.typing').getAttribute('aria-live'), 'polite')

  await client.composer.pressSequentially('I am')
  await typing(operator, 'Mara Lindqvist is typing…').waitFor(SOON)
  assert.equal(await client.page.locator('.typing').textContent(), '', 'nobody sees their own')
  await quiet(operator).waitFor({ state: 'attached', ...SOON })

  await client.composer.pressSequentially(' sure')
  await typing(operator, 'is typing').waitFor(SOON)
  await client.composer.fill('')
  await quiet(operator).waitFor({ state: 'attached', ...SOON })

  await operator.composer.pressSequentially('Hello')
  await typing(client, 'Your operator is typing…').waitFor(SOON)
  await operator.composer.press('Enter')
  await client.message('Hello').waitFor(SOON)
  await quiet(client).waitFor({ state: 'attached', ...SOON })
})

test('after a cut both are there again, and typing is seen', async () => {
  const [operator, client] = await bothAt(await addBooking(world))
  await presence(operator).waitFor(SOON)
  const { id } = world.faults.add({ kind: 'refuse_sockets' })
  world.faults.add({ kind: 'cut_sockets' })
  for (const person of [operator, client]) await presence(person).waitFor({ state: 'detached', ...SOON })
  world.faults.remove(id)
  for (const person of [operator, client]) await presence(person).waitFor({ timeout: 60_000 })
  await client.composer.pressSequentially('back')
  await typing(operator, 'is typing').waitFor(SOON)
})

test('a tab that does not lead takes part', async () => {
  const booking = await addBooking(world)
  const [operator, client] = await bothAt(booking)
  const second = await openDemo(world, client.page.context(), 'client', { booking })
  await second.untilConnection('connected')
  await presence(second).waitFor(SOON)
  await second.composer.pressSequentially('from the second tab')
  await typing(operator, 'is typing').waitFor(SOON)
  await operator.composer.pressSequentially('me too')
  for (const person of [client, second]) await typing(person, 'is typing').waitFor(SOON)
})

test('where the policies are missing nobody is shown, nothing is said of it, and messages go both ways', async () => {
  const policies = ['chat members see who is there', 'chat members say that they are there']
  const saved = await world.sql`select policyname, cmd, qual, with_check from pg_policies where policyname = any (${policies})`
  for (const { policyname } of saved) await world.sql`drop policy ${world.sql(policyname)} on realtime.messages`
  try {
    const booking = await addBooking(world)
    const [operator, client] = await bothAt(booking)
    await client.composer.pressSequentially('Anybody there?')
    await client.composer.press('Enter')
    await operator.message('Anybody there?').waitFor(SOON)
    await operator.write('Yes')
    await client.message('Yes').waitFor(SOON)
    await operator.untilShown('Yes', 'read')
    await assertStored(world, booking, ['Anybody there?', 'Yes'])
    for (const person of [operator, client]) {
      assert.equal(await presence(person).count(), 0)
      assert.equal(await person.page.getByRole('alert').count(), 0)
      assert.deepEqual(await person.connectionStates(), ['connecting', 'connected'])
      assert.deepEqual(person.exceptions, [])
    }
  } finally {
    for (const { policyname, cmd, qual, with_check: check } of saved) {
      const rule = cmd === 'SELECT' ? `using (${qual})` : `with check (${check})`
      await world.sql.unsafe(`create policy "${policyname}" on realtime.messages for ${cmd} to authenticated ${rule}`)
    }
  }
})
