// The local stack with the two demo pages on it, until Ctrl-C.
//   --smoke     a headless browser talks through both pages, prints what it saw, and everything stops
//   --source table|endpoint  the app's own table, or its own endpoint, in place of the managed schema
//   --bookings N  adds so many bookings with short conversations, as on a busy dashboard
//   --port N    where the pages are served (4173)
import { build } from './build.mjs'
import { Problem, main } from './lib/process.mjs'
import { chromium, ensureTools } from './setup.mjs'

const DEFAULT_PORT = 4173
const WAYS = ['managed', 'table', 'endpoint']

function parse(args) {
  const options = { smoke: false, port: undefined, bookings: 0, way: 'managed' }
  const rest = [...args]
  while (rest.length > 0) {
    const option = rest.shift()
    if (option === '--smoke') options.smoke = true
    else if (option === '--bookings') {
      options.bookings = Number(rest.shift())
      if (!Number.isInteger(options.bookings) || options.bookings < 0 || options.bookings > 10_000) throw new Problem('demo: --bookings wants a number')
    } else if (option === '--source') {
      options.way = rest.shift()
      if (!WAYS.includes(options.way)) throw new Problem(`demo: --source wants one of ${WAYS.join(', ')}`)
    } else if (option === '--port') {
      options.port = Number(rest.shift())
      if (!Number.isInteger(options.port) || options.port < 0 || options.port > 65535) throw new Problem('demo: --port wants a number')
    } else throw new Problem(`demo: unknown option ${option}`)
  }
  if (options.smoke && options.way !== 'managed') throw new Problem('demo: --smoke looks at the managed schema only')
  return options
}

function interruption() {
  return new Promise((resolve) => {
    process.once('SIGINT', resolve)
    process.once('SIGTERM', resolve)
  })
}

await main(async () => {
  const { smoke, port = smoke ? 0 : DEFAULT_PORT, bookings, way } = parse(process.argv.slice(2))
  await ensureTools(smoke ? ['chromium'] : [])
  await build()

  const interrupted = interruption()
  const { startStack } = await import('../dev/stack/index.mjs')
  const { startDemo } = await import('../dev/demo/server.mjs')
  const { addManyBookings } = await import('../dev/demo/lib/many-bookings.mjs')
  const stack = await startStack()
  try {
    if (bookings > 0) await addManyBookings(stack, bookings)
    const demo = await startDemo({ stack, port, way }).catch((error) => {
      throw error.code === 'EADDRINUSE' ? new Problem(`demo: port ${port} is in use; --port takes another, 0 any that is free`) : error
    })
    try {
      if (smoke) {
        const { runSmoke } = await import('../dev/demo/smoke.mjs')
        const smoking = runSmoke({ stack, url: demo.url, chromium: chromium() })
        const passed = await Promise.race([smoking, interrupted.then(() => false)])
        if (!passed) throw new Problem('demo: the smoke test failed')
      } else {
        console.log(`\ndemo: ${demo.url}   (stack: ${stack.url}; Ctrl-C stops both)`)
        await interrupted
      }
    } finally {
      await demo.stop()
    }
  } finally {
    await stack.stop()
  }
})
