import assert from 'node:assert/strict'
import { copyFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { assertWorks, execute, filesUnder, project, remove, serve } from './projects.mjs'

let folder
let out

before(() => {
  folder = project('plain', { webpack: '^5.0.0', 'webpack-cli': '^6.0.0' })
  out = join(folder, 'bundled')
  execute('npx', ['--no', 'webpack', './main.js', '--mode', 'production', '--output-path', out], folder)
  copyFileSync(join(folder, 'index.html'), join(out, 'index.html'))
})
after(() => remove(folder))

test('webpack without a configuration emits exactly one .wasm', () => {
  assert.equal(filesUnder(out).filter((path) => path.endsWith('.wasm')).length, 1)
})

test('the page it built loads the wasm and keeps a message although no server answers', async () => {
  const site = await serve(out)
  try {
    await assertWorks(site.url)
  } finally {
    await site.stop()
  }
})
