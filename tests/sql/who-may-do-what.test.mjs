// Every attempt by everybody, over real HTTP and WebSocket. UPDATE_DOCS=1 writes docs/who-may-do-what.md anew.
import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { after, before, test } from 'node:test'
import { startWorld } from './support.mjs'
import { document } from './who/document.mjs'
import { ACTORS } from './who/scene.mjs'
import { everyAttempt } from './who/table.mjs'
import { withdraw } from './who/withdrawn.mjs'

const page = new URL('../../docs/who-may-do-what.md', import.meta.url)

let world, parts, steps
before(async () => {
  world = await startWorld()
})
after(() => world.stop())

test('nobody does or learns more than they may, and everybody may do what they must', async () => {
  parts = await everyAttempt(world)
  const wrong = parts.flatMap(({ rows }) => rows.flatMap(({ group, name, cells }) => cells.flatMap((cell, index) =>
    cell === null || cell.succeeded === cell.may ? [] : [`${group}, ${name}: ${ACTORS[index]} ${cell.may ? 'may, and could not' : 'may not, and could'} (${cell.text})`])))
  assert.deepEqual(wrong, [])
})

test('a membership that is withdrawn takes effect', async () => {
  steps = await withdraw(world)
})

test('docs/who-may-do-what.md says what was answered', async () => {
  const text = document(parts, steps)
  console.log(text.split('\n').filter((line) => line.startsWith('|')).join('\n'))
  if (process.env.UPDATE_DOCS) await writeFile(page, text)
  assert.equal(await readFile(page, 'utf8'), text)
})
