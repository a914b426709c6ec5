// The guide's own code, as it is written there, in a page; and its colours.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { openChat } from './support/harness.mjs'
import { until } from './support/until.mjs'
import { addBooking, assertStored, useWorld } from './support/world.mjs'

const pathOf = (path) => fileURLToPath(new URL(path, import.meta.url))
const pkg = (name) => pathOf(`../../pkg/${name}`)

/** A block of the guide; tests/unit/guide.test.ts sees to it that it is the guide's. */
const blockOf = (name) => /^\/\/ guide\n(.*)^\/\/ end of guide$/ms.exec(readFileSync(pathOf(`../types/guide/${name}.tsx`), 'utf8'))[1]

const world = useWorld()

async function openPage(name, contents) {
  const { outputFiles: [script] } = await build({
    stdin: { contents, loader: 'tsx', resolveDir: pathOf('.') },
    bundle: true, format: 'esm', write: false, jsx: 'automatic', define: { 'process.env.NODE_ENV': '"development"' }, logLevel: 'error',
    alias: { 'surechat/react/ui': pkg('ui.js'), 'surechat/react': pkg('react.js'), surechat: pkg('index.js') },
  })
  const style = readFileSync(pkg('styles.css'), 'utf8')
  world.harness.put(`/${name}.html`, `<!doctype html><meta charset="utf-8"><style>${style}</style><div id="root"></div><script type="module" src="/${name}.js"></script>`)
  world.harness.put(`/${name}.js`, script.text)
  const page = await (await world.browser.newContext({ colorScheme: 'light', reducedMotion: 'no-preference' })).newPage()
  await page.exposeFunction('nextToken', () => world.tokenFor(world.users.operator.id))
  await page.goto(`${world.harness.url}${name}.html`)
  return page
}

/** The guide's blocks put together, with what it leaves to the app: a booking that is chosen, and the text of the field. */
function dashboard(bookingId) {
  const [component, handleSend, status, events, deliveries] = [
    '01-operator-dashboard', '02-handle-send', '05-service-status', '08-connection-events', '09-delivery-events',
  ].map(blockOf)
  const [before, after] = component.replace('useState<any>(null)', `useState<any>({ database_id: '${bookingId}' })`).split('  return (\n    <div>\n')
  assert.ok(after && before.includes(bookingId), 'the component begins as it did')
  return `
    import { useState } from 'react'
    import { createRoot } from 'react-dom/client'
    import { configureChat, realtimeMessageService } from 'surechat'
    configureChat({
      url: '${world.stack.url}', apiKey: '${world.apiKey}', accessToken: () => window.nextToken(), wasm: '/pkg/wasm/surechat_bg.wasm',
    })
    const setError = () => {}
    ${before}
    const [newMessage, setNewMessage] = useState('')
    ${handleSend}
    window.askStatus = async () => { ${status} }
    return (
    <div>
    ${after}
    ${events}
    ${deliveries}
    createRoot(document.getElementById('root')).render(<OperatorDashboard />)`
}

test('the guide\'s chat: sends, receives, and puts back what is refused, without a copy', async () => {
  const conversation = await addBooking(world)
  const page = await openPage('guide', dashboard(conversation))
  const said = []
  const exceptions = []
  page.on('console', (line) => said.push(line.text()))
  page.on('pageerror', (error) => exceptions.push(error.message))
  const texts = () => page.locator('.message-content p').allTextContents()
  const field = page.locator('.input input')
  await page.getByRole('status').filter({ hasText: /^Connected/ }).waitFor()
  await field.fill('Hello from the guide')
  await field.press('Enter')
  assert.equal(await field.inputValue(), '')

  const client = await openChat(world, await world.browser.newContext(), { user: world.users.client, conversation })
  await client.untilTexts(['Hello from the guide'])
  await page.locator(".message.operator .surechat-delivery[data-status='read']").waitFor()
  await client.sendAndWait('And back')
  await page.locator('.message.client', { hasText: 'And back' }).waitFor()

  const tooLong = 'x'.repeat(65_537)
  await field.fill(tooLong)
  await page.getByRole('button', { name: 'Send', exact: true }).click()
  await until('the text is back', async () => said.some((line) => line.startsWith('Failed to send:')) && (await field.inputValue()) === tooLong)
  await field.fill('Shorter')
  await field.press('Enter')
  const expected = ['Hello from the guide', 'And back', 'Shorter']
  await client.untilTexts(expected)
  await assertStored(world, conversation, expected)
  assert.deepEqual(await texts(), expected)

  await page.evaluate(() => window.askStatus())
  await until('the status is told', () => said.includes('Status: connected') && said.includes('Pending: 0'))
  assert.ok(said.some((line) => /^Delivery rate: \d+\.\d%$/.test(line)), said.join('\n'))
  assert.deepEqual(exceptions, [])
})

test('the guide\'s delivery indicators: a pulsing clock, checks, blue, and red with Retry', async () => {
  const page = await openPage('indicators', `
    import { createRoot } from 'react-dom/client'
    import { MessageDeliveryIndicator } from 'surechat/react/ui'
    createRoot(document.getElementById('root')).render(['sending', 'sent', 'delivered', 'read', 'failed'].map((status) =>
      <MessageDeliveryIndicator key={status} status={status} onRetry={() => {}} />))`)
  await page.locator('.surechat-delivery').nth(4).waitFor()
  const shown = await page.locator('.surechat-delivery').evaluateAll((all) => all.map((each) => [
    each.dataset.status, getComputedStyle(each).color, getComputedStyle(each.querySelector('.surechat-icon')).animationName,
    each.querySelector('button')?.textContent ?? '',
  ]))
  const [grey, blue, red] = ['rgb(115, 125, 137)', 'rgb(36, 118, 227)', 'rgb(213, 50, 42)']
  assert.deepEqual(shown, [
    ['sending', grey, 'surechat-pulse', ''],
    ['sent', grey, 'none', ''],
    ['delivered', blue, 'none', ''],
    ['read', blue, 'none', ''],
    ['failed', red, 'none', 'Retry'],
  ])
})
