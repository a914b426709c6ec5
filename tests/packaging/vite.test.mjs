import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { assertWorks, execute, filesUnder, project, remove, serve } from './projects.mjs'

const PACKAGES = {
  react: '^19.2.0', 'react-dom': '^19.2.0', '@types/react': '^19.2.0', '@types/react-dom': '^19.2.0',
  vite: '^8.0.0', '@vitejs/plugin-react': '^6.0.0', typescript: '^5.9.0',
}

let folder

before(() => {
  folder = project('vite-react', PACKAGES)
  execute('npx', ['tsc', '-p', '.'], folder)
  execute('npx', ['vite', 'build'], folder)
})
after(() => remove(folder))

test('an empty Vite and React project builds it with exactly one .wasm', () => {
  const wasm = filesUnder(join(folder, 'dist')).filter((path) => path.endsWith('.wasm'))
  assert.equal(wasm.length, 1)
})

test('the built page loads the wasm, keeps a message although no server answers, and shows it', async () => {
  const site = await serve(join(folder, 'dist'))
  try {
    await assertWorks(site.url, { shows: 'Hello' })
  } finally {
    await site.stop()
  }
})

test('so does the page of the Vite development server', async () => {
  const { createServer } = await import(join(folder, 'node_modules/vite/dist/node/index.js'))
  const server = await createServer({ root: folder, server: { host: '127.0.0.1', port: 0 }, logLevel: 'error' })
  try {
    await server.listen()
    await assertWorks(server.resolvedUrls.local[0], { shows: 'Hello' })
  } finally {
    await server.close()
  }
})

test('a server renders the hook and the components', () => {
  const html = execute('node', ['--input-type=module', '-e', `
    import { createElement } from 'react'
    import { renderToString } from 'react-dom/server'
    import { createChatClient } from 'surechat'
    import { ChatProvider, useChatWithDelivery } from 'surechat/react'
    import { ConnectionStatus } from 'surechat/react/ui'

    function Chat() {
      const { messages, connectionStatus, pendingMessagesCount } = useChatWithDelivery({ bookingId: 'booking-1' })
      return createElement('main', null, messages.length, createElement(ConnectionStatus, { status: connectionStatus, pendingCount: pendingMessagesCount }))
    }
    const client = createChatClient({ url: 'http://127.0.0.1:1', apiKey: 'key', accessToken: () => null })
    console.log(renderToString(createElement(ChatProvider, { client }, createElement(Chat))))
  `], folder)
  assert.match(html, /^<main>0.*role="status"/s)
})
