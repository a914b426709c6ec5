// The published README's quickstart, followed in an empty project: its own code, its own words for the database.
import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { chromium as playwright } from 'playwright-core'
import { startStack } from '../../dev/stack/index.mjs'
import { chromium } from '../../scripts/setup.mjs'
import { execute, pkg, project, remove, serve } from './projects.mjs'

const PACKAGES = { '@supabase/supabase-js': '^2.109.0', react: '^19.2.0', 'react-dom': '^19.2.0', vite: '^8.0.0', '@vitejs/plugin-react': '^6.0.0' }
const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync']

let folder
let stack

/** The first code block of the section, as it stands. */
function block(section) {
  const readme = readFileSync(join(pkg, 'README.md'), 'utf8')
  const code = new RegExp(`^## ${section}\\n[^]*?\`\`\`tsx?\\n([^]*?)\`\`\``, 'm').exec(readme)
  assert.ok(code, `the README has code under "${section}"`)
  return code[1]
}

before(async () => {
  folder = project('vite-react', PACKAGES)
  execute('npx', ['--no', 'surechat', 'init'], folder)
  const migrations = join(folder, 'supabase/migrations')
  stack = await startStack({ sqlFiles: readdirSync(migrations).map((name) => join(migrations, name)) })
  const { operator, client } = stack.users
  const members = [{ user_id: operator.id, role: 'operator' }, { user_id: client.id, role: 'client' }]
  await stack.sql`select chat_ensure('42', ${stack.sql.json(members)})`

  const client_ = block('A client')
    .replace('https://<project>.supabase.co', stack.url)
    .replace('<anon key>', stack.apiKey)
  mkdirSync(join(folder, 'src'), { recursive: true })
  writeFileSync(join(folder, 'src/main.tsx'), `
import { createClient } from '@supabase/supabase-js'
import { createRoot } from 'react-dom/client'
const supabase = createClient('${stack.url}', '${stack.apiKey}')
${client_}
${block('In React')}
supabase.auth.signInWithPassword({ email: '${operator.email}', password: '${operator.password}' })
  .then(() => createRoot(document.getElementById('root')!).render(<App />))
`)
  execute('npx', ['vite', 'build'], folder)
})
after(async () => {
  await stack?.stop()
  if (folder) remove(folder)
})

test('who follows the quickstart has a message in the database and a tick on the screen', async () => {
  const site = await serve(join(folder, 'dist'))
  const browser = await playwright.launch({ executablePath: chromium(), args: FLAGS })
  try {
    const page = await browser.newPage()
    const errors = []
    page.on('pageerror', (error) => errors.push(String(error)))
    await page.goto(site.url)
    await page.getByText('Connected', { exact: true }).waitFor({ timeout: 30_000 })
    await page.getByRole('button', { name: 'Send' }).click()
    await page.getByText('On my way').waitFor({ timeout: 10_000 })
    await page.getByRole('img', { name: 'Sent', exact: true }).waitFor({ timeout: 10_000 })
    const rows = await stack.sql`select content, sender_role, seq::int from chat_messages where conversation_id = '42'`
    assert.deepEqual(rows.map((row) => ({ ...row })), [{ content: 'On my way', sender_role: 'operator', seq: 1 }])
    assert.deepEqual(errors, [])
  } finally {
    await browser.close()
    await site.stop()
  }
})
