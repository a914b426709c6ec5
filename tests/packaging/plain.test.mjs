import assert from 'node:assert/strict'
import { copyFileSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { build } from 'esbuild'
import { execute, load, project, remove, serve } from './projects.mjs'

let folder

before(() => {
  folder = project('plain')
})
after(() => remove(folder))

async function assertLoads(root, options) {
  const site = await serve(root, options)
  try {
    const { report, exceptions, wasm } = await load(site.url)
    assert.deepEqual(exceptions, [])
    assert.deepEqual([...new Set(wasm)], [200])
    assert.equal(report.pending, 0)
    assert.notEqual(report.after, 'connected')
  } finally {
    await site.stop()
  }
}

test('a page without a bundler loads it', () => assertLoads(folder))

test('a server that does not know .wasm files is no obstacle', () => assertLoads(folder, { wasmType: 'application/octet-stream' }))

test('an esbuild bundle loads it once the wasm is copied beside it', async () => {
  const out = join(folder, 'bundled')
  await build({ entryPoints: [join(folder, 'main.js')], bundle: true, format: 'esm', outdir: out, logLevel: 'warning' })
  mkdirSync(join(out, 'wasm'))
  copyFileSync(join(folder, 'node_modules/surechat/wasm/surechat_bg.wasm'), join(out, 'wasm/surechat_bg.wasm'))
  copyFileSync(join(folder, 'index.html'), join(out, 'index.html'))
  await assertLoads(out)
})

test('Node imports every entry, with and without React, and nothing happens', () => {
  const client = `createChatClient({ url: 'http://127.0.0.1:1', apiKey: 'key', accessToken: () => null })`
  const answer = execute('node', ['--input-type=module', '-e', `
    import { createChatClient, realtimeMessageService } from 'surechat'
    const client = ${client}
    console.log(client.getConnectionStatus(), client.getPendingMessagesCount(), typeof realtimeMessageService, typeof window)
  `], folder)
  assert.equal(answer.trim(), 'connecting 0 object undefined')
})
