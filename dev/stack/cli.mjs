import { parseArgs } from 'node:util'
import { startStack } from './index.mjs'

const { values } = parseArgs({
  options: { port: { type: 'string', default: '54321' }, data: { type: 'string' }, verbose: { type: 'boolean', default: false } },
})

const options = { port: Number(values.port), dataDir: values.data, log: values.verbose ? console.error : undefined }
const stack = await startStack(options).catch((error) => {
  console.error(error.code === 'EADDRINUSE' ? `Port ${values.port} is in use; --port takes another, 0 any that is free.` : error)
  process.exit(1)
})

console.log(`Supabase      ${stack.url}`)
console.log(`anon key      ${stack.apiKey}`)
console.log(`service key   ${stack.serviceKey}`)
for (const user of Object.values(stack.users)) console.log(`${user.role.padEnd(13)} ${user.email}  ${user.password}  ${user.id}`)
console.log('Stop it with Ctrl+C.')

let stopping = false
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(signal, async () => {
    if (stopping) return
    stopping = true
    await stack.stop()
    process.exit(0)
  })
}
