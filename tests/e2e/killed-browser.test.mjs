import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { chromium } from '../../scripts/setup.mjs'
import { launchOnProfile } from './support/browser.mjs'
import { openDemo } from './support/demo.mjs'
import { until } from './support/until.mjs'
import { addBooking, assertStored, rowsOf, textsOf, useWorld } from './support/world.mjs'

const world = useWorld()

let profile
before(async () => {
  profile = await mkdtemp(join(tmpdir(), 'surechat-profile-'))
})
after(() => rm(profile, { recursive: true, force: true }))

/** Runs `work` with the operator's page in a browser on the profile, and kills that browser. */
async function inBrowser(booking, work) {
  const browser = await launchOnProfile(chromium(), profile)
  try {
    const operator = await openDemo(world, browser.context, 'operator', { booking })
    await operator.untilConnection('connected')
    await work(operator, browser.context)
  } finally {
    await browser.kill()
  }
}

const persisted = (operator) => operator.page.waitForFunction(() => performance.getEntriesByName('chat:persisted').length > 0)

test('a message written offline survives the SIGKILL of the browser, and arrives once', async () => {
  const booking = await addBooking(world)
  const text = 'Written right before the battery died.'
  await inBrowser(booking, async (operator, context) => {
    await context.setOffline(true)
    await operator.write(text)
    await persisted(operator)
  })
  assert.deepEqual(await textsOf(world, booking), [])

  await inBrowser(booking, async (operator) => {
    await operator.untilShown(text, 'sent')
    await operator.untilTexts([text])
  })
  await assertStored(world, booking, [text])
})

test('so does one that was stored when the browser was killed before it heard of it', async () => {
  const booking = await addBooking(world)
  const text = 'Nobody told me that you have it.'
  const unheard = [{ kind: 'lose_answer', match: 'send' }, { kind: 'drop_live' }, { kind: 'refuse', match: 'sync' }]
  await inBrowser(booking, async (operator) => {
    for (const fault of unheard) world.faults.add(fault)
    await operator.write(text)
    await until('it is stored', async () => (await rowsOf(world, booking)).length === 1)
    await operator.untilShown(text, 'sending')
  })
  const stored = await rowsOf(world, booking)
  world.faults.clear()

  await inBrowser(booking, async (operator) => {
    await operator.untilShown(text, 'sent')
    await operator.untilTexts([text])
    await until('nothing is pending', async () => (await operator.page.getByText('not sent yet').count()) === 0)
  })
  assert.deepEqual(await rowsOf(world, booking), stored)
})
