import assert from 'node:assert/strict'
import { copyFileSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { build } from 'esbuild'
import { assertWorks, execute, project, remove, serve } from './projects.mjs'

let folder

before(() => {
  folder = project('plain')
})
after(() => remove(folder))

async function assertWorksFrom(served, options) {
  const site = await serve(served, options)
  try {
    await assertWorks(site.url)
  } finally {
    await site.stop()
  }
}

test('a page without a bundler loads it', () => assertWorksFrom(folder))

test('a server that does not know .wasm files is no obstacle', () => assertWorksFrom(folder, { wasmType: 'application/octet-stream' }))

test('an esbuild bundle loads it once the wasm is copied beside it', async () => {
  const out = join(folder, 'bundled')
  await build({ entryPoints: [join(folder, 'main.js')], bundle: true, format: 'esm', outdir: out, logLevel: 'warning' })
  mkdirSync(join(out, 'wasm'))
  copyFileSync(join(folder, 'node_modules/surechat/wasm/surechat_bg.wasm'), join(out, 'wasm/surechat_bg.wasm'))
  copyFileSync(join(folder, 'index.html'), join(out, 'index.html'))
  await assertWorksFrom(out)
})

test('Node imports it without React, and nothing happens', () => {
  const answer = execute('node', ['--input-type=module', '-e', `
    import { createChatClient, realtimeMessageService } from 'surechat'
    const client = createChatClient({ url: 'http://127.0.0.1:1', apiKey: 'key', accessToken: () => null })
    console.log(client.getConnectionStatus(), client.getPendingMessagesCount(), typeof realtimeMessageService, typeof window)
  `], folder)
  assert.equal(answer.trim(), 'connecting 0 object undefined')
})
