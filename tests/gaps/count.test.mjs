// What counts is only worth something if it can count wrong readers, too.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { broken, compare, sum } from './count.mjs'
import { Follower } from './readers.mjs'

const stored = ['a', 'b', 'c', 'd', 'e']
const none = { missed: 0, doubled: 0, disordered: 0, unknown: 0 }

test('a reader that has everything once and in order is right', () => {
  assert.deepEqual(compare(stored, stored), none)
  assert.deepEqual(compare([], []), none)
})

test('what is missing, again, out of order or not there is counted', () => {
  assert.deepEqual(compare(stored, ['a', 'b', 'd', 'e']), { ...none, missed: 1 })
  assert.deepEqual(compare(stored, []), { ...none, missed: 5 })
  assert.deepEqual(compare(stored, ['a', 'b', 'b', 'c', 'd', 'e', 'a']), { ...none, doubled: 2 })
  assert.deepEqual(compare(stored, ['a', 'c', 'b', 'd', 'e']), { ...none, disordered: 1 })
  assert.deepEqual(compare(stored, ['d', 'a', 'b', 'c', 'e']), { ...none, disordered: 3 })
  assert.deepEqual(compare(stored, [...stored, 'x']), { ...none, unknown: 1 })
})

test('what was written before a reader came is not its business', () => {
  assert.deepEqual(compare(stored, ['c', 'd', 'e'], 2), none)
  assert.deepEqual(compare(stored, ['c', 'e'], 2), { ...none, missed: 1 })
})

test('readers are added up', () => {
  assert.deepEqual(sum([{ ...none, missed: 2 }, { ...none, missed: 1, unknown: 3 }]), { ...none, missed: 3, unknown: 3 })
})

test('a list on a screen is an unbroken part of what is stored', () => {
  assert.deepEqual([broken(stored, []), broken(stored, ['c', 'd']), broken(stored, stored)], [0, 0, 0])
  assert.deepEqual([broken(stored, ['b', 'd']), broken(stored, ['b', 'c', 'c']), broken(stored, ['x'])], [1, 1, 1])
})

const row = (seq) => ({ seq, id: `row ${seq}` })
const page = (first_seq, through_seq, last_seq, seqs, incarnation = 'one') =>
  ({ incarnation, first_seq, through_seq, last_seq, rows: seqs.map(row) })
const ids = (...seqs) => seqs.map((seq) => row(seq).id)

test('a follower takes nothing over a hole, and asks', () => {
  const follower = new Follower()
  assert.equal(follower.take(page(1, 2, 2, [1, 2])), false)
  assert.equal(follower.hear({ seq: 3, row: row(3) }), false)
  assert.equal(follower.hear({ seq: 5, row: row(5) }), true)
  assert.equal(follower.hear({ seq: 6 }), true)
  assert.deepEqual(follower.seen, ids(1, 2, 3))
  assert.equal(follower.take(page(4, 4, 6, [4])), true)
  assert.deepEqual(follower.seen, ids(1, 2, 3, 4, 5))
  assert.equal(follower.take(page(6, 6, 6, [6])), false)
  assert.equal(follower.hear({ seq: 5, row: row(5) }), false)
  assert.deepEqual(follower.seen, ids(1, 2, 3, 4, 5, 6))
})

test('a follower that is ahead of the answer asks again, and one that comes later begins with its first page', () => {
  const follower = new Follower()
  follower.take(page(41, 90, 90, [41, 90]))
  assert.deepEqual([follower.first, follower.cursor], [40, 90])
  follower.hear({ seq: 91, row: row(91) })
  assert.equal(follower.take(page(41, 90, 90, [])), true)
  assert.deepEqual([follower.cursor, follower.seen], [91, ids(41, 90, 91)])
})
