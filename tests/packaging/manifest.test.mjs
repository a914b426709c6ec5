import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { publint } from 'publint'
import { formatMessage } from 'publint/utils'
import { execute, pack, pkg, remove, temporaryFolder } from './projects.mjs'

const root = fileURLToPath(new URL('../..', import.meta.url))

let folder
let packed

before(() => {
  folder = temporaryFolder()
  packed = pack(folder)
})
after(() => remove(folder))

test('the package holds one .wasm, its licence, its README and what that refers to, and nothing that is only ours', () => {
  assert.deepEqual(packed.files.filter((path) => path.endsWith('.wasm')), ['wasm/surechat_bg.wasm'])
  assert.ok(packed.files.includes('LICENSE'))
  assert.ok(packed.files.includes('README.md'))
  const readme = readFileSync(join(pkg, 'README.md'), 'utf8')
  const named = [...readme.matchAll(/\]\(([\w/.-]+)\)/g)].map(([, path]) => path)
  assert.deepEqual(named, ['docs/ways-in.md', 'docs/errors.md'])
  for (const path of named) assert.ok(packed.files.includes(path), path)
  assert.deepEqual(packed.files.filter((path) => path.startsWith('supabase/')).sort(), [
    'supabase/migrations/20261101000000_surechat.sql', 'supabase/rollback.sql',
    ...['bookings', 'export-messages', 'import-messages', 'restore-export'].map((name) => `supabase/templates/${name}.sql`),
  ])
  const odd = packed.files.filter((path) => !/^(LICENSE|README\.md|package\.json|styles\.css|[\w-]+\.js|wasm\/surechat_bg\.wasm|types\/.+\.d\.ts|supabase\/.+\.sql|docs\/(errors|ways-in)\.md)$/.test(path))
  assert.deepEqual(odd, [])
})

test('its version is the crate\'s', () => {
  const crate = /^version = "(.+)"/m.exec(readFileSync(join(root, 'Cargo.toml'), 'utf8'))[1]
  assert.equal(JSON.parse(readFileSync(join(pkg, 'package.json'), 'utf8')).version, crate)
})

test('the React entries say that they belong in the browser', () => {
  for (const entry of ['react.js', 'ui.js']) assert.match(readFileSync(join(pkg, entry), 'utf8'), /^["']use client["']/)
  assert.doesNotMatch(readFileSync(join(pkg, 'index.js'), 'utf8'), /use client/)
})

test('publint has nothing to say', async () => {
  const { messages, pkg: manifest } = await publint({ pkgDir: pkg, strict: true })
  assert.deepEqual(messages.map((message) => formatMessage(message, manifest)), [])
})

test('its types resolve in every ESM setting', () => {
  const attw = join(root, 'node_modules/.bin/attw')
  const options = ['--profile', 'esm-only', '--exclude-entrypoints', 'styles.css', 'surechat.wasm']
  assert.doesNotThrow(() => execute(attw, [packed.tarball, ...options], root))
})
