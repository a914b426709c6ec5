import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, afterEach, before, beforeEach, describe, test } from 'node:test'
import { startStack } from '../../dev/stack/index.mjs'
import { project, remove, temporaryFolder } from './projects.mjs'

let installed, folder
const execute = (program, args) => spawnSync(program, args, { cwd: installed, encoding: 'utf8', timeout: 60_000 })
const surechat = (...args) => execute(join(installed, 'node_modules', '.bin', 'surechat'), args)
const init = () => surechat('init', folder)

const migrations = () => join(folder, 'supabase', 'migrations')
const names = () => readdirSync(migrations()).sort()
const text = (name) => readFileSync(join(migrations(), name), 'utf8')
const put = (name, content) => {
  mkdirSync(migrations(), { recursive: true })
  writeFileSync(join(migrations(), name), content)
}
/** What this package would have written if it had been of another version, with another schema. */
const asOf = (version, content) => content.replace(/^-- surechat \S+/, `-- surechat ${version}`)

before(() => {
  installed = project('plain')
})
after(() => remove(installed))
beforeEach(() => {
  folder = temporaryFolder()
})
afterEach(() => remove(folder))

describe('in an empty directory', () => {
  test('it puts the migration where supabase looks for it, and says what is next', () => {
    const { status, stdout, stderr } = init()
    assert.deepEqual([status, stderr], [0, ''])
    const [name, ...others] = names()
    assert.match(name, /^\d{14}_surechat\.sql$/)
    assert.deepEqual(others, [])
    assert.match(text(name), /^-- surechat \d+\.\d+\.\d+ .*\n-- surechat: conversations/)
    assert.match(text(name), /function public\.chat_send/)
    assert.match(stdout, /^wrote .*SQL editor/s)
    for (const [path] of stdout.matchAll(/\S+\.sql$/gm)) assert.ok(existsSync(path), path)
    for (const name of ['bookings', 'import-messages', 'rollback']) assert.match(stdout, new RegExp(`${name}\\.sql`))
  })

  test('by npx and without a folder it is the one it is run in', () => {
    const { status } = execute('npx', ['--no', 'surechat', 'init'])
    assert.equal(status, 0)
    assert.equal(readdirSync(join(installed, 'supabase', 'migrations')).length, 1)
  })

  test('what it writes can be applied, and applied again', async () => {
    init()
    const stack = await startStack()
    try {
      const owner = stack.connect({ username: 'postgres', max: 1 })
      await owner.unsafe(text(names()[0])).simple()
      await owner.unsafe(text(names()[0])).simple()
      await owner.end()
    } finally {
      await stack.stop()
    }
  })
})

describe('in a Supabase project', () => {
  beforeEach(() => {
    mkdirSync(migrations(), { recursive: true })
    writeFileSync(join(folder, 'supabase', 'config.toml'), 'project_id = "app"\n')
  })

  test('other migrations stay as they are, and a push is next', () => {
    put('20200101000000_first.sql', 'select 1;')
    const { status, stdout } = init()
    assert.equal(status, 0)
    assert.match(stdout, /supabase db push/)
    assert.equal(names().length, 2)
    assert.match(names()[1], /_surechat\.sql$/)
    assert.equal(text('20200101000000_first.sql'), 'select 1;')
  })

  test('it stands behind migrations that are newer than it, also behind one of the future', () => {
    put('20991231235959_far.sql', 'select 1;')
    put('notes.txt', 'not a migration')
    assert.equal(init().status, 0)
    assert.deepEqual(names(), ['20991231235959_far.sql', '20991231235960_surechat.sql', 'notes.txt'])
  })

  test('the supabase folder itself is told from the project', () => {
    const inside = surechat('init', join(folder, 'supabase'))
    assert.equal(inside.status, 1)
    assert.match(inside.stderr, /run this in the folder above/)
    assert.ok(!existsSync(join(folder, 'supabase', 'supabase')))
  })
})

describe('where it was before', () => {
  test('a second time there is nothing to do', () => {
    init()
    const [name] = names()
    const before = text(name)
    const { status, stdout } = init()
    assert.equal(status, 0)
    assert.match(stdout, /^there .*Nothing to do/s)
    assert.deepEqual([names(), text(name)], [[name], before])
  })

  test('line ends of Windows are no difference, and neither is a copy made by hand', () => {
    init()
    const [name] = names()
    put(name, text(name).replaceAll('\n', '\r\n'))
    assert.match(init().stdout, /Nothing to do/)
    put(name, text(name).replaceAll('\r\n', '\n').replace(/^.*\n/, ''))
    assert.match(init().stdout, /Nothing to do/)
    assert.deepEqual(names(), [name])
  })

  test('a file that somebody changed stays as it is', () => {
    init()
    const [name] = names()
    for (const changed of [`${text(name)}-- mine\n`, '-- mine']) {
      put(name, changed)
      const { status, stderr } = init()
      assert.equal(status, 1)
      assert.match(stderr, /^differs .*left as it is/)
      assert.deepEqual([names(), text(name)], [[name], changed])
    }
  })

  test('an earlier version gets a newer one beside it, once, behind everything else', () => {
    init()
    const [name] = names()
    const wanted = text(name)
    const earlier = `${asOf('0.0.1', wanted)}-- as it was then\n`
    put(name, earlier)
    put('20270101000000_between.sql', 'select 1;')
    const { status, stdout } = init()
    assert.equal(status, 0)
    assert.match(stdout, /there .*version 0\.0\.1.*wrote .*keeps every message/s)
    const [first, , upgrade] = names()
    assert.deepEqual([first, text(first), text(upgrade)], [name, earlier, wanted])
    assert.match(init().stdout, /Nothing to do/)
    assert.equal(names().length, 3)
  })

  test('a later version is left alone', () => {
    init()
    const [name] = names()
    put(name, `${asOf('99.0.0', text(name))}-- as it will be\n`)
    const { status, stderr } = init()
    assert.equal(status, 1)
    assert.match(stderr, /^newer .*version 99\.0\.0/)
    assert.deepEqual(names(), [name])
  })
})

test('what cannot be written is said in a line', () => {
  writeFileSync(join(folder, 'supabase'), 'a file')
  const { status, stderr } = init()
  assert.equal(status, 1)
  assert.match(stderr, /^surechat: (EEXIST|ENOTDIR)[^\n]*\n$/)
})

test('help is given when asked for, and when it is not understood', () => {
  for (const args of [[], ['--help'], ['init', '--help']]) {
    const { status, stdout } = surechat(...args)
    assert.deepEqual([args, status], [args, 0])
    assert.match(stdout, /usage: surechat init/)
  }
  for (const args of [['push'], ['init', 'a', 'b'], ['init', '--force']]) {
    const { status, stderr } = surechat(...args)
    assert.deepEqual([args, status], [args, 2])
    assert.match(stderr, /usage: surechat init/)
  }
})
