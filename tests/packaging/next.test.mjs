import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { assertWorks, execute, filesUnder, project, remove, serve } from './projects.mjs'

let folder
let out

before(() => {
  folder = project('next', { next: '^16.0.0', react: '^19.2.0', 'react-dom': '^19.2.0' })
  execute('npx', ['--no', 'next', 'build'], folder, { NEXT_TELEMETRY_DISABLED: '1' })
  out = join(folder, 'out')
})
after(() => remove(folder))

test('Next.js renders the hook on the server, and emits exactly one .wasm', () => {
  assert.match(readFileSync(join(out, 'index.html'), 'utf8'), /<main>.*role="status"/s)
  assert.equal(filesUnder(out).filter((path) => path.endsWith('.wasm')).length, 1)
})

test('its page loads the wasm, keeps a message although no server answers, and shows it', async () => {
  const site = await serve(out)
  try {
    await assertWorks(site.url, { shows: 'Hello' })
  } finally {
    await site.stop()
  }
})
