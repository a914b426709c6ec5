import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { execute, filesUnder, load, project, remove, serve } from './projects.mjs'

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

test('the built page loads the wasm and keeps a message although no server answers', async () => {
  const site = await serve(join(folder, 'dist'))
  try {
    const { report, exceptions, wasm } = await load(site.url)
    assert.deepEqual(exceptions, [])
    assert.deepEqual(wasm, [200])
    assert.ok(['connecting', 'reconnecting', 'disconnected'].includes(report.after), report.after)
    assert.equal(report.durable, true)
    assert.equal(report.pending, 1)
    assert.equal(report.message.content, 'Hello')
    assert.equal(report.message.delivery_status, 'sending')
    assert.match(report.text, /Hello/)
  } finally {
    await site.stop()
  }
})

test('the Vite development server loads it too', async () => {
  const { createServer } = await import(join(folder, 'node_modules/vite/dist/node/index.js'))
  const server = await createServer({ root: folder, server: { host: '127.0.0.1', port: 0 }, logLevel: 'error' })
  try {
    await server.listen()
    const { report, exceptions } = await load(server.resolvedUrls.local[0])
    assert.deepEqual(exceptions, [])
    assert.equal(report.pending, 1)
  } finally {
    await server.close()
  }
})
