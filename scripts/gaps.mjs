// Eight writers whose transactions overlap on a real PostgreSQL, readers that come and go, and what each way of reading
// has missed: ours, a cursor by time, and a cursor by a sequence.
//   --quick        shorter, and one browser instead of two
//   --seconds N    how long is written
//   --seed N       the same dice as in the run that printed N (what the scheduler does is not among them)
//   --readers N    readers by chat_sync (default 6)
//   --browsers N   readers that are browsers with the package; with 0 nothing is built
import { anySeed } from '../dev/stack/random.mjs'
import { build } from './build.mjs'
import { Problem, main } from './lib/process.mjs'
import { chromium, ensureNpmPackages, ensureTools } from './setup.mjs'

function parse(args) {
  const rest = [...args]
  const quick = rest.includes('--quick')
  const options = { seed: anySeed(), seconds: quick ? 8 : 30, readers: 6, pages: quick ? 1 : 2 }
  const names = { '--seed': 'seed', '--seconds': 'seconds', '--readers': 'readers', '--browsers': 'pages' }
  while (rest.length > 0) {
    const option = rest.shift()
    if (option === '--quick') continue
    if (!(option in names)) throw new Problem(`gaps: unknown option ${option}`)
    const value = Number(rest.shift())
    if (!Number.isInteger(value) || value < 0) throw new Problem(`gaps: ${option} wants a number`)
    options[names[option]] = value
  }
  return options
}

await main(async () => {
  const options = parse(process.argv.slice(2))
  if (options.pages > 0) {
    await ensureTools(['chromium'])
    await build()
  } else {
    await ensureNpmPackages()
  }
  const { gaps } = await import('../tests/gaps/main.mjs')
  const { passed, summary, problems } = await gaps({ ...options, executable: chromium() })
  if (!passed) throw new Problem(`${summary}\ngaps: FAILED: ${problems.join(', ')}`)
  console.log(`\n${summary}`)
})
