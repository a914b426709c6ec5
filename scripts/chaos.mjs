// The guarantee against real browsers and a real database, and a table of what became of the messages.
//   --quick            50 messages in each scenario instead of 500, and shorter trouble
//   --browser NAME     chromium or firefox alone
//   --only "A,B"       these scenarios
//   --seed N           the same dice as in the run that printed N
//   --count N          another number of messages
import { build } from './build.mjs'
import { Problem, main } from './lib/process.mjs'
import { chromium, ensureTools, firefox } from './setup.mjs'

const BROWSERS = { chromium, firefox }

function parse(args) {
  const options = { browsers: Object.keys(BROWSERS), quick: false, seed: Math.floor(Math.random() * 2 ** 31) }
  const rest = [...args]
  const number = (name) => {
    const value = Number(rest.shift())
    if (!Number.isInteger(value) || value < 0) throw new Problem(`chaos: ${name} wants a number`)
    return value
  }
  while (rest.length > 0) {
    const option = rest.shift()
    if (option === '--quick') options.quick = true
    else if (option === '--seed') options.seed = number(option)
    else if (option === '--count') options.count = number(option)
    else if (option === '--only') options.only = (rest.shift() ?? '').split(',').map((name) => name.trim())
    else if (option === '--browser') options.browsers = [rest.shift()]
    else throw new Problem(`chaos: unknown option ${option}`)
  }
  const unknown = options.browsers.find((name) => !(name in BROWSERS))
  if (unknown !== undefined) throw new Problem(`chaos: no browser ${unknown}; there are ${Object.keys(BROWSERS).join(', ')}`)
  return options
}

await main(async () => {
  const options = parse(process.argv.slice(2))
  await ensureTools(options.browsers)
  await build()
  const { chaos, scenarioNames } = await import('../tests/chaos/main.mjs')
  const unknown = (options.only ?? []).filter((name) => !scenarioNames.includes(name))
  if (unknown.length > 0) throw new Problem(`chaos: no scenario ${unknown.join(', ')}; there are ${scenarioNames.join(', ')}`)
  const { passed, summary } = await chaos({ ...options, browsers: options.browsers.map((name) => [name, BROWSERS[name]()]) })
  if (!passed) throw new Problem(summary)
  console.log(`\n${summary}`)
})
