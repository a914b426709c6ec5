import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openDemo } from './support/demo.mjs'
import { until } from './support/until.mjs'
import { addBooking, assertStored, useWorld, whileForbidden } from './support/world.mjs'

const world = useWorld()

async function openBoth() {
  const booking = await addBooking(world)
  const open = async (role) => openDemo(world, await world.browser.newContext(), role, { booking })
  const [operator, client] = [await open('operator'), await open('client')]
  for (const person of [operator, client]) await person.untilConnection('connected')
  return { booking, operator, client }
}

const hasFocus = (locator) => locator.evaluate((element) => element === document.activeElement)
const untilFocused = (what, locator) => until(`${what} has the focus`, () => hasFocus(locator))

test('a message is edited and deleted with the keyboard alone', async () => {
  const { booking, operator, client } = await openBoth()
  const { page } = operator
  const { keyboard } = page
  const item = (name) => page.getByRole('menuitem', { name })
  const menuOf = (text) => operator.message(text).getByRole('button', { name: 'Edit or delete' })
  await operator.write('See you at six.')
  await operator.untilShown('See you at six.', 'read')

  await keyboard.press('Shift+Tab')
  await untilFocused('the menu\'s button', menuOf('See you at six.'))
  await keyboard.press('Enter')
  await untilFocused('Edit', item('Edit'))
  await keyboard.press('ArrowDown')
  await untilFocused('Delete', item('Delete'))
  await keyboard.press('ArrowDown')
  await untilFocused('Edit', item('Edit'))
  await keyboard.press('Escape')
  await untilFocused('the menu\'s button', menuOf('See you at six.'))
  await item('Edit').waitFor({ state: 'detached' })

  await keyboard.press('Enter')
  await untilFocused('Edit', item('Edit'))
  await keyboard.press('Enter')
  const editor = page.getByRole('textbox', { name: 'Edit the message' })
  await untilFocused('the editor', editor)
  await keyboard.press('Escape')
  await untilFocused('the menu\'s button', menuOf('See you at six.'))
  await keyboard.press('Enter')
  await untilFocused('Edit', item('Edit'))
  await keyboard.press('Enter')
  await untilFocused('the editor', editor)
  for (let at = 0; at < 'six.'.length; at++) await keyboard.press('Backspace')
  await keyboard.type('seven.')
  await keyboard.press('Enter')
  await untilFocused('the menu\'s button', menuOf('See you at seven.'))
  for (const person of [operator, client]) await person.message('See you at seven.').getByText('edited', { exact: true }).waitFor()
  await assertStored(world, booking, ['See you at seven.'])

  await keyboard.press('Enter')
  await untilFocused('Edit', item('Edit'))
  await keyboard.press('ArrowUp')
  await untilFocused('Delete', item('Delete'))
  await keyboard.press('Enter')
  await untilFocused('the list of messages', operator.log)
  for (const person of [operator, client]) {
    await person.message('Message deleted').waitFor()
    await person.untilTexts(['Message deleted'])
  }
  assert.equal(await page.getByRole('button', { name: 'Edit or delete' }).count(), 0)
  assert.deepEqual([...operator.exceptions, ...client.exceptions], [])
})

test('a refused message is told apart from those that wait, and can be discarded', async () => {
  const { booking, operator } = await openBoth()
  const banner = (text) => operator.page.getByRole('status').filter({ hasText: text })
  await whileForbidden(world, async () => {
    await operator.write('You cannot have this.')
    await operator.untilShown('You cannot have this.', 'failed')
    await banner('1 message could not be sent.').waitFor()
  })
  await operator.message('You cannot have this.').getByRole('button', { name: 'Discard' }).click()
  await until('it is gone', async () => (await operator.texts()).length === 0)
  await untilFocused('the list of messages', operator.log)
  await until('the banner is gone', async () => (await banner('could not be sent').count()) === 0)
  await operator.write('But this you can.')
  await operator.untilShown('But this you can.', 'read')
  await assertStored(world, booking, ['But this you can.'])
})
