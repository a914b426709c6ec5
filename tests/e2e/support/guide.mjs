// The guide's tests, followed step by step under the guide's own words.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'

const GUIDE = readFileSync(new URL('../../fixtures/guide.md', import.meta.url), 'utf8')

function stepsOf(title) {
  const section = GUIDE.split(/^### /m).find((section) => section.startsWith(`${title}\n`))
  assert.ok(section, `the guide has no ${title}`)
  return section.split('\n').filter((line) => /^\d+\. /.test(line))
}

/**
 * Runs the steps of one of the guide's tests as subtests; `steps` holds what to do by the step's full text, and must
 * name them all, or all up to number `upTo`. After a step that fails the others are skipped.
 */
export async function follow(t, title, steps, { upTo } = {}) {
  assert.deepEqual(Object.keys(steps), stepsOf(title).slice(0, upTo))
  let failed = false
  for (const [step, work] of Object.entries(steps)) {
    await t.test(step, async (t) => {
      if (failed) return t.skip('an earlier step failed')
      try {
        await work()
      } catch (error) {
        failed = true
        throw error
      }
    })
  }
}
