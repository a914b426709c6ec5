import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { project, remove } from './projects.mjs'

let folder
const migrations = () => join(folder, 'supabase', 'migrations')
const surechat = (...args) => spawnSync('npx', ['--no', 'surechat', ...args], { cwd: folder, encoding: 'utf8', timeout: 60_000 })

before(() => {
  folder = project('plain')
})
after(() => remove(folder))

test('surechat init puts the migration where supabase looks for it', () => {
  const { status, stdout } = surechat('init')
  assert.equal(status, 0)
  const [name, ...others] = readdirSync(migrations())
  assert.match(name, /^\d{14}_surechat\.sql$/)
  assert.deepEqual(others, [])
  assert.match(readFileSync(join(migrations(), name), 'utf8'), /function public\.chat_send/)
  assert.match(stdout, /templates.bookings\.sql/)
})

test('a second time changes nothing, and a file that somebody changed stays as it is', () => {
  assert.equal(surechat('init').status, 0)
  const [name] = readdirSync(migrations())
  writeFileSync(join(migrations(), name), '-- mine')
  const { status, stderr } = surechat('init')
  assert.equal(status, 1)
  assert.match(stderr, /differs .*left as it is/)
  assert.equal(readFileSync(join(migrations(), name), 'utf8'), '-- mine')
})

test('an unknown command says how it is used', () => {
  const { status, stderr } = surechat('push')
  assert.equal(status, 2)
  assert.match(stderr, /usage: surechat init/)
})
