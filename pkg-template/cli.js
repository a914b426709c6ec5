#!/usr/bin/env node
// `surechat init`: the database schema into a Supabase project's migrations.
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

const HELP = `usage: surechat init [folder]

Puts surechat's migration into supabase/migrations of the folder (this one by default). What is there already is never
changed: the migration of an earlier version gets a newer one beside it, which brings its schema up to date.`

const here = dirname(fileURLToPath(import.meta.url))
const template = (name) => join(here, 'supabase', 'templates', name)

const OURS = /^(\d{14})_surechat\.sql$/
const MARK = /^-- surechat (\d+\.\d+\.\d+)\S* .*\n/

class Problem extends Error {}

/** The migration of this package, and the version it came with. */
function current() {
  const from = join(here, 'supabase', 'migrations')
  const [name] = readdirSync(from)
  const { version } = JSON.parse(readFileSync(join(here, 'package.json'), 'utf8'))
  return { name, version, body: readFileSync(join(from, name), 'utf8') }
}

/** A file in the project: what it says, and of which version it says to be, if it does. */
function read(path) {
  const text = readFileSync(path, 'utf8').replaceAll('\r\n', '\n')
  return { version: MARK.exec(text)?.[1] ?? null, body: text.replace(MARK, '') }
}

function isBefore(one, other) {
  const [a, b] = [one, other].map((version) => version.split(/[.-]/).map(Number))
  const at = [0, 1, 2].find((place) => a[place] !== b[place])
  return at !== undefined && a[at] < b[at]
}

/** Behind every migration there is: `supabase db push` refuses one that stands in front of what is applied already. */
function nameAfter(names, proposed) {
  const newest = names.map((name) => /^\d+/.exec(name)?.[0] ?? '').filter((stamp) => stamp.length === 14).sort().at(-1)
  if (newest === undefined || newest < proposed.slice(0, 14)) return proposed
  const now = new Date().toISOString().replace(/\D/g, '').slice(0, 14)
  return `${now > newest ? now : BigInt(newest) + 1n}_surechat.sql`
}

function init(folder) {
  const root = resolve(folder)
  if (basename(root) === 'supabase' && existsSync(join(root, 'config.toml'))) {
    throw new Problem(`${root} is the supabase folder itself: run this in the folder above it.`)
  }
  const { name, version, body } = current()
  const to = join(root, 'supabase', 'migrations')
  mkdirSync(to, { recursive: true })
  const names = readdirSync(to)
  const latest = names.filter((each) => OURS.test(each)).sort().at(-1)
  if (latest !== undefined) {
    const path = join(to, latest)
    const found = read(path)
    if (found.body === body) {
      console.log(`there   ${path}\nNothing to do.`)
      return
    }
    if (found.version === null || found.version === version) {
      throw new Problem(`differs ${path}: left as it is. It is not what this package (${version}) wrote or would write. To get that one, rename yours and run this again.`)
    }
    if (isBefore(version, found.version)) {
      throw new Problem(`newer   ${path}: left as it is. It is of version ${found.version}; this package is ${version}.`)
    }
    console.log(`there   ${path} (version ${found.version})`)
  }
  const path = join(to, nameAfter(names, name))
  writeFileSync(path, `-- surechat ${version} (written by \`npx surechat init\`)\n${body}`, { flag: 'wx' })
  console.log(`wrote   ${path} (version ${version})`)

  const hasProject = existsSync(join(root, 'supabase', 'config.toml'))
  const apply = hasProject
    ? 'apply it (`supabase db push`, or `supabase migration up` for the local one)'
    : 'apply it: paste it into the SQL editor, or `supabase init`, `supabase link` and `supabase db push`'
  if (latest !== undefined) {
    console.log(`\nNext: ${apply}. It brings the schema up to date and keeps every message; functions that you changed yourself are replaced.`)
    return
  }
  console.log(`
Next: ${apply}, and give your conversations their members.
For a table of bookings:               ${template('bookings.sql')}
To carry over messages you have:       ${template('import-messages.sql')}
To take everything away again:         ${join(here, 'supabase', 'rollback.sql')}`)
}

const [command, folder = '.', ...rest] = process.argv.slice(2)
if (command === 'init' && rest.length === 0 && !folder.startsWith('-')) {
  try {
    init(folder)
  } catch (error) {
    if (!(error instanceof Problem) && error.code === undefined) throw error
    console.error(error instanceof Problem ? error.message : `surechat: ${error.message}`)
    process.exitCode = 1
  }
} else {
  const asked = command === undefined || [command, folder].some((each) => each === '--help' || each === '-h')
  ;(asked ? console.log : console.error)(HELP)
  process.exitCode = asked ? 0 : 2
}
