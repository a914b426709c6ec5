// The demo with the other two ways in: `npm run demo -- --source table` and `-- --source endpoint`.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startDemo } from '../../dev/demo/server.mjs'
import { openDemo } from './support/demo.mjs'
import { tableRows } from './support/ways.mjs'
import { addBooking, textsOf, useWorld } from './support/world.mjs'

const world = useWorld()

const STORED = {
  table: async (booking) => (await tableRows(world, booking)).map(({ content }) => content),
  endpoint: (booking) => textsOf(world, booking),
}
const ENDS_AT = { table: 'sent', endpoint: 'read' }
const EXPECTED = ['We are six.', 'All set.', '🔄 Status updated to: completed']

for (const way of ['table', 'endpoint']) {
  test(`operator and client talk through the ${way}, and the status is told`, async (t) => {
    const demo = await startDemo({ stack: world.stack, way })
    t.after(() => demo.stop())
    const booking = await addBooking(world)
    const open = async (role) => openDemo({ ...world, demo }, await world.browser.newContext(), role, { booking })
    const [operator, client] = [await open('operator'), await open('client')]
    await client.untilConnection('connected')
    await operator.untilConnection('connected')

    await client.write('We are six.')
    await client.untilShown('We are six.', ENDS_AT[way])
    await operator.untilTexts(['We are six.'])
    await operator.write('All set.')
    await client.untilTexts(['We are six.', 'All set.'])
    await operator.page.getByRole('combobox', { name: 'Status' }).selectOption('completed')
    for (const person of [operator, client]) await person.untilTexts(EXPECTED)
    assert.deepEqual(await STORED[way](booking), EXPECTED)

    const sides = (person) => person.page.locator('.message').evaluateAll((all) => all.map(({ dataset }) => dataset.side))
    assert.deepEqual(await sides(operator), ['other', 'own', 'system'])
    assert.deepEqual(await sides(client), ['own', 'other', 'system'])
    assert.deepEqual([...operator.exceptions, ...client.exceptions], [])
  })
}
