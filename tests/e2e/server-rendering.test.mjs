import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { build } from 'esbuild'
import { addBooking, assertStored, useWorld } from './support/world.mjs'

const here = fileURLToPath(new URL('.', import.meta.url))

// The process must end by itself: a timer or a socket left behind would keep it.
const LIMIT_MS = 30_000

async function renderInNode(props) {
  const script = `
    import { renderToString } from 'react-dom/server'
    import { guidePage } from './support/guide-page.mjs'
    if (typeof window !== 'undefined') throw new Error('this is no server')
    const options = { ...${JSON.stringify(props.options)}, accessToken: () => { throw new Error('a server asks for no token') } }
    console.log(renderToString(guidePage({ bookingId: ${JSON.stringify(props.bookingId)}, options })))`
  const { stdout, stderr } = await promisify(execFile)('node', ['--input-type=module', '-e', script], { cwd: here, timeout: LIMIT_MS })
  assert.equal(stderr, '')
  return stdout.trim()
}

const world = useWorld()

test('Node renders a page with the hook and the components, and asks nobody for anything', async () => {
  const requests = world.faults.list().requests
  const html = await renderInNode({ bookingId: 'b1', options: { url: world.stack.url, apiKey: world.apiKey } })
  assert.match(html, /^<main data-loading="true">/)
  assert.match(html, /role="status".*Connecting…/)
  assert.match(html, /role="log"><\/div>/)
  assert.deepEqual(world.faults.list().requests, requests)
})

test('a browser takes over what Node has rendered, without a difference, and it works', async () => {
  const bookingId = await addBooking(world)
  const options = { url: world.stack.url, apiKey: world.apiKey }
  const html = await renderInNode({ bookingId, options })
  const { outputFiles: [script] } = await build({
    stdin: {
      resolveDir: here,
      contents: `
        import { hydrateRoot } from 'react-dom/client'
        import { guidePage } from './support/guide-page.mjs'
        const options = { ...${JSON.stringify(options)}, accessToken: () => window.nextToken(), wasm: '/pkg/wasm/surechat_bg.wasm' }
        window.differences = []
        hydrateRoot(document.getElementById('root'), guidePage({ bookingId: ${JSON.stringify(bookingId)}, options }), {
          onRecoverableError: (error) => window.differences.push(error.message),
        })`,
    },
    bundle: true, format: 'esm', write: false, define: { 'process.env.NODE_ENV': '"development"' }, logLevel: 'warning',
  })
  world.harness.put('/rendered.html', `<!doctype html><div id="root">${html}</div><script type="module" src="/rendered.js"></script>`)
  world.harness.put('/rendered.js', script.text)
  const page = await (await world.browser.newContext()).newPage()
  const exceptions = []
  page.on('pageerror', (error) => exceptions.push(error.message))
  await page.exposeFunction('nextToken', () => world.tokenFor(world.users.operator.id))
  await page.goto(`${world.harness.url}rendered.html`)
  await page.getByRole('status').filter({ hasText: /^Connected/ }).waitFor()
  await page.getByRole('button', { name: 'Say hello' }).click()
  await page.getByRole('log').getByRole('img', { name: 'Sent' }).waitFor()
  await assertStored(world, bookingId, ['Hello'])
  assert.deepEqual(await page.evaluate(() => window.differences), [])
  assert.deepEqual(exceptions, [])
})
