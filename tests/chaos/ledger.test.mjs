// Who counts must be able to find something.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Ledger, wrongViews } from './support/ledger.mjs'

const row = (text, conversation = 'a') => ({ id: `id of ${text}`, text, conversation, sender: 'me' })
const shown = (text, status) => ({ id: `id of ${text}`, text, status })
const NOTHING = { accepted: 0, sent: 0, unsent: 0, lost: 0, doubled: 0, disordered: 0, absent: 0, rejected: 0 }

function ledgerOf(...batches) {
  const ledger = new Ledger()
  batches.forEach(({ page = 'one', texts, at = 0, acceptedAt = at + 1, conversation = 'a' }) => {
    ledger.wrote({ page, sender: 'me', messages: texts.map((text) => ({ text, conversation })), at })
    if (acceptedAt !== null) for (const text of texts) ledger.accepted(text, acceptedAt)
  })
  return ledger
}

test('all well', () => {
  const ledger = ledgerOf({ texts: ['1', '2'] }, { texts: ['3'], conversation: 'b' })
  const rows = [row('1'), row('2'), row('3', 'b')]
  assert.equal(ledger.isStored(rows), true)
  assert.deepEqual(ledger.verdict(rows, [{ a: [shown('1', 'sent')] }]), { ...NOTHING, accepted: 3, sent: 3 })
})

test('accepted and nowhere is lost; still shown as unsent it is not', () => {
  const ledger = ledgerOf({ texts: ['1', '2', '3'] })
  assert.equal(ledger.isStored([row('1')]), false)
  const verdict = ledger.verdict([row('1')], [{ a: [shown('2', 'failed')] }])
  assert.deepEqual(verdict, { ...NOTHING, accepted: 3, sent: 1, unsent: 1, lost: 1 })
})

test('what was never accepted may be stored or not', () => {
  const ledger = ledgerOf({ texts: ['1', '2'], acceptedAt: null })
  assert.equal(ledger.acceptedCount, 0)
  assert.deepEqual(ledger.verdict([row('2')], []), NOTHING)
  assert.equal(ledger.hasAnswered('one'), false)
  ledger.accepted('1', 1)
  ledger.rejected('2', 'storage_full')
  assert.equal(ledger.hasAnswered('one'), true)
  assert.deepEqual(ledger.verdict([row('1')], []), { ...NOTHING, accepted: 1, sent: 1, rejected: 1 })
})

test('doubled, also under another id', () => {
  const ledger = ledgerOf({ texts: ['1'] })
  assert.equal(ledger.verdict([row('1'), { ...row('1'), id: 'another' }], []).doubled, 1)
})

test('order in one page is the order of the calls, accepted or not', () => {
  const ledger = ledgerOf({ texts: ['1', '2', '3'], acceptedAt: null })
  assert.equal(ledger.verdict([row('1'), row('3'), row('2')], []).disordered, 1)
  assert.equal(ledger.verdict([row('1'), row('2'), row('3')], []).disordered, 0)
})

test('order across pages counts only where one was accepted before the other was written', () => {
  const apart = ledgerOf({ page: 'one', texts: ['1'], at: 0, acceptedAt: 5 }, { page: 'two', texts: ['2'], at: 6 })
  assert.equal(apart.verdict([row('2'), row('1')], []).disordered, 1)
  const together = ledgerOf({ page: 'one', texts: ['1'], at: 0, acceptedAt: 7 }, { page: 'two', texts: ['2'], at: 6 })
  assert.equal(together.verdict([row('2'), row('1')], []).disordered, 0)
})

test('conversations have nothing to do with each other', () => {
  const ledger = ledgerOf({ texts: ['1'] }, { texts: ['2'], conversation: 'b' })
  assert.equal(ledger.verdict([row('2', 'b'), row('1')], []).disordered, 0)
})

test('reported as sent and absent: at the end, in a view, or when it was looked up', () => {
  assert.equal(ledgerOf({ texts: ['1'] }).verdict([], [{ a: [shown('1', 'sent')] }]).absent, 1)

  const told = ledgerOf({ texts: ['1'] })
  told.reportedAsSent('id of 1', 10)
  assert.equal(told.verdict([], []).absent, 1)

  const early = ledgerOf({ texts: ['1'] })
  early.reportedAsSent('id of 1', 10)
  early.looked([], 11)
  assert.equal(early.verdict([row('1')], []).absent, 0, 'a moment between the commit and the query is allowed')
  early.looked([], 5000)
  assert.equal(early.verdict([row('1')], []).absent, 1, 'it came later, but was not there when it was said')
})

test('a view is the whole of the database, or its end', () => {
  const rows = ['1', '2', '3'].map((text) => row(text))
  const view = (...texts) => ({ a: texts.map((text) => shown(text, null)) })
  const wrong = (view, options) => wrongViews(rows, view, options).length
  assert.equal(wrong(view('1', '2', '3'), { whole: true }), 0)
  assert.equal(wrong(view('2', '3'), { whole: true }), 1)
  assert.equal(wrong(view('2', '3'), { whole: false, least: 2 }), 0)
  assert.equal(wrong(view('3'), { whole: false, least: 2 }), 1)
  assert.equal(wrong(view('1', '3'), { whole: false }), 1)
  assert.equal(wrong(view('1', '3', '2'), { whole: false }), 1)
  assert.equal(wrong(view('1', '2', '2', '3'), { whole: false }), 1)
})
