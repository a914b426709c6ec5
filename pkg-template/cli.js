#!/usr/bin/env node
// `surechat init`: the database schema into a Supabase project's migrations.
import { copyFileSync, existsSync, mkdirSync, readFileSync, readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const HELP = `usage: surechat init [folder]

Puts surechat's migration into supabase/migrations of the folder (this one by default). A file that is there already
is left as it is.`

const here = dirname(fileURLToPath(import.meta.url))

function init(folder) {
  const from = join(here, 'supabase', 'migrations')
  const to = join(folder, 'supabase', 'migrations')
  mkdirSync(to, { recursive: true })
  let differs = false
  for (const name of readdirSync(from)) {
    const target = join(to, name)
    if (!existsSync(target)) {
      copyFileSync(join(from, name), target)
      console.log(`wrote   ${target}`)
    } else if (readFileSync(target).equals(readFileSync(join(from, name)))) {
      console.log(`there   ${target}`)
    } else {
      console.error(`differs ${target}: left as it is`)
      differs = true
    }
  }
  console.log(`
Next: apply it (\`supabase db push\`, or paste it into the SQL editor), and give your conversations their members.
A template for a table of bookings: ${join(here, 'supabase', 'templates', 'bookings.sql')}`)
  return differs ? 1 : 0
}

const [command, folder = '.', ...rest] = process.argv.slice(2)
if (command === 'init' && rest.length === 0) {
  process.exitCode = init(folder)
} else {
  const asked = command === undefined || command === '--help' || command === '-h'
  ;(asked ? console.log : console.error)(HELP)
  process.exitCode = asked ? 0 : 2
}
