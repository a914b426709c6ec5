import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createApi } from './api.mjs'
import { Faults } from './faults.mjs'
import { startHttp } from './http.mjs'
import { JWT_SECRET, projectKey, signJwt } from './keys.mjs'
import { startPostgres } from './postgres.mjs'
import { Realtime } from './realtime/server.mjs'

const here = fileURLToPath(new URL('.', import.meta.url))
const migrations = fileURLToPath(new URL('../../supabase/migrations/', import.meta.url))

const USERS = {
  operator: { email: 'operator@surechat.test', password: 'operator-password' },
  client: { email: 'client@surechat.test', password: 'client-password' },
  stranger: { email: 'stranger@surechat.test', password: 'stranger-password' },
}

async function sqlFilesIn(folder) {
  const names = await readdir(folder).catch(() => [])
  return names.filter((name) => name.endsWith('.sql')).sort().map((name) => join(folder, name))
}

async function apply(sql, files) {
  for (const file of files) {
    await sql.unsafe(await readFile(file, 'utf8')).simple().catch((error) => {
      throw new Error(`${file}: ${error.message}`, { cause: error })
    })
  }
}

async function createUsers(sql, api, origin) {
  const users = {}
  for (const [role, { email, password }] of Object.entries(USERS)) {
    const known = await sql`select id from auth.users where email = ${email}`
    if (known.length === 0) {
      const body = JSON.stringify({ email, password, data: { role } })
      const request = new Request(`${origin}/auth/v1/signup`, { method: 'POST', headers: { 'content-type': 'application/json' }, body })
      const answer = await api.fetch(request)
      if (!answer.ok) throw new Error(`sign-up of ${email}: ${answer.status} ${await answer.text()}`)
    }
    const [{ id }] = await sql`select id from auth.users where email = ${email}`
    users[role] = { id, email, password, role }
  }
  return users
}

/** Starts a local Supabase: PostgreSQL, Data API, Auth, Realtime, and faults on demand. See README.md. */
export async function startStack({ port = 0, dataDir, sqlFiles = [], keepAlive = false, realtime: realtimeOptions, log = () => {} } = {}) {
  const faults = new Faults()
  const closing = []
  const stop = async () => {
    while (closing.length > 0) await closing.pop()()
  }
  try {
    const database = await startPostgres({ dataDir, log })
    closing.push(() => database.stop())
    const sql = database.connect()
    closing.push(() => sql.end({ timeout: 5 }))
    const owner = database.connect({ username: 'postgres', max: 1 })
    closing.push(() => owner.end({ timeout: 5 }))

    const api = createApi({ socketDir: database.socketDir, jwtSecret: JWT_SECRET })
    closing.push(() => api.stop())
    await apply(sql, [join(here, 'sql/roles.sql')])
    await api.prepare()
    await apply(sql, [join(here, 'sql/auth.sql'), join(here, 'sql/realtime.sql')])
    await apply(owner, [...(await sqlFilesIn(migrations)), ...sqlFiles])

    const realtime = new Realtime({ connect: database.connect, faults, log, options: realtimeOptions })
    closing.push(() => realtime.stop())
    await realtime.start()
    faults.sockets = realtime.sockets

    const http = await startHttp({ port, keepAlive, api, realtime, faults, log })
    closing.push(() => http.stop())
    const users = await createUsers(sql, api, http.url)
    await apply(owner, await sqlFilesIn(join(here, 'seed')))
    await sql.listen('pgrst', () => api.reloadSchema())

    return {
      url: http.url,
      port: http.port,
      apiKey: projectKey('anon'),
      serviceKey: projectKey('service_role'),
      jwtSecret: JWT_SECRET,
      users,
      sql,
      connect: database.connect,
      faults,
      async tokenFor(userId, { expiresIn = 3600, role = 'authenticated' } = {}) {
        const [user] = await sql`select email from auth.users where id = ${userId}`
        const now = Math.floor(Date.now() / 1000)
        return signJwt({ sub: userId, aud: 'authenticated', role, email: user?.email ?? '', iat: Math.min(now, now + expiresIn), exp: now + expiresIn })
      },
      stop,
    }
  } catch (error) {
    await stop()
    throw error
  }
}
