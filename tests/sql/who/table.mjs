// Every attempt by everybody, what was answered, and what it came to.
import { DATA_API, inWords } from './attempts.mjs'
import { REALTIME } from './live.mjs'
import { ACTORS, Scene } from './scene.mjs'

async function overDataApi(scene, attempt) {
  await attempt.before?.(scene)
  const before = await scene.stored()
  const answer = await attempt.run(scene)
  const after = await scene.stored()
  const wrote = JSON.stringify(before) !== JSON.stringify(after)
  const learnt = attempt.reveals !== undefined && answer.text.includes(attempt.reveals(scene))
  const succeeded = wrote || learnt
  if (succeeded && scene.may) attempt.check?.(scene, before, after)
  return { text: inWords(answer), succeeded }
}

async function overRealtime(scene, attempt) {
  const before = JSON.stringify((await scene.stored()).members)
  const { text, hears = false, disturbs = false } = await attempt.run(scene)
  const wrote = JSON.stringify((await scene.stored()).members) !== before
  return { text, succeeded: hears || disturbs || wrote }
}

/** Groups of rows; a cell is `{text, succeeded, may}`, or null where it makes no sense to ask. */
export async function everyAttempt(world) {
  const ways = [['Over the Data API', DATA_API, overDataApi], ['Over Realtime', REALTIME, overRealtime]]
  const parts = []
  for (const [title, groups, way] of ways) {
    const rows = []
    for (const { group, attempts } of groups) {
      for (const attempt of attempts) {
        const cells = []
        for (const actor of ACTORS) {
          if (attempt.but?.includes(actor)) {
            cells.push(null)
            continue
          }
          const may = attempt.may.includes(actor)
          const scene = Object.assign(await Scene.make(world, actor), { may })
          try {
            cells.push({ ...(await way(scene, attempt)), may })
          } catch (error) {
            throw new Error(`${group}, ${attempt.name}, by ${actor}: ${error.message}`, { cause: error })
          } finally {
            scene.leave()
          }
        }
        rows.push({ group, name: attempt.name, cells })
      }
    }
    parts.push({ title, rows })
  }
  return parts
}
