import { inspect } from 'node:util'
import { App } from '@supabase/lite'
import { createPostgresConnection } from '@supabase/lite/postgres'

/** PostgREST's own table: which HTTP status an SQLSTATE gets. The longest prefix counts; anything else is 400. */
const STATUS_BY_SQLSTATE = {
  '08': 503, '09': 500, '0L': 403, '0P': 403, 23503: 409, 23505: 409, 25: 500, 25006: 405, 28: 403, '2D': 500,
  38: 500, 39: 500, '3B': 500, 40: 500, 42883: 404, '42P01': 404, '42P17': 500, 53: 503, 53400: 500, 54: 500,
  55: 500, 57: 500, '57P01': 503, 58: 500, F0: 500, HV: 500, P0: 500, P0001: 400, XX: 500,
}

function statusOf(sqlstate) {
  return STATUS_BY_SQLSTATE[sqlstate] ?? STATUS_BY_SQLSTATE[sqlstate.slice(0, 2)] ?? 400
}

/** Where lite differs from Supabase in what a client can see; README.md says each in words. */
function asOnSupabase(connection) {
  // lite grants every role everything before its first request; the migrations' own revokes must count.
  connection.ensureRlsContext = async () => true

  connection.normalizeDbError = (error) => {
    // lite writes every error to the console, with its stack.
    if (error instanceof Error) error[inspect.custom] = () => `data api: ${error.code ?? error.name} ${error.message}`
    const sqlstate = error?.code
    if (error?.name !== 'PostgresError' || sqlstate === 'PGRST' || sqlstate === '42501' || sqlstate.startsWith('PT')) return error
    // Told as a PGRST error, lite answers with exactly this status and body.
    const body = { code: sqlstate, message: error.message, details: error.detail ?? null, hint: error.hint ?? null }
    const detail = JSON.stringify({ status: statusOf(sqlstate), headers: {} })
    return { code: 'PGRST', message: JSON.stringify(body), detail, [inspect.custom]: error[inspect.custom] }
  }
  return connection
}

const TYPES = {
  // lite hands over JSON arguments as text that is JSON already.
  json: { to: 114, from: [114], serialize: jsonText, parse: JSON.parse },
  jsonb: { to: 3802, from: [3802], serialize: jsonText, parse: JSON.parse },
  timestamp: { to: 1114, from: [1114], serialize: (value) => value, parse: (text) => text.replace(' ', 'T') },
  timestamptz: {
    to: 1184,
    from: [1184],
    serialize: (value) => value,
    parse: (text) => text.replace(' ', 'T').replace(/([+-]\d\d)$/, '$1:00'),
  },
}

function jsonText(value) {
  return typeof value === 'string' ? value : JSON.stringify(value)
}

/** The Data API and Auth: `{ fetch(request), prepare(), reloadSchema(), stop() }`. */
export function createApi({ socketDir, jwtSecret, siteUrl }) {
  const connection = asOnSupabase(
    createPostgresConnection({
      postgresOptions: { host: socketDir, database: 'postgres', username: 'supabase_admin', onnotice: () => {}, types: TYPES },
    }),
  )
  const app = new App({
    connection,
    // A token that is no JWT is an error to PostgREST; lite takes it for an anonymous request unless those are off.
    api: { enabled: true, anonymous_enabled: false },
    auth: { enabled: true, jwt_secret: jwtSecret, site_url: siteUrl, email: { enable_confirmations: false } },
    options: { server: { apiKeys: false } },
  })
  return {
    fetch: (request) => app.fetch(request),
    prepare: () => app.ensureSystemSchema(),
    reloadSchema: () => connection.clearSchemaCache(),
    stop: () => connection.close(),
  }
}
