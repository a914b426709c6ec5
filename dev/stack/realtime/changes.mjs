import { createHash } from 'node:crypto'
import { actAs } from './authorize.mjs'
import { RawJson } from './protocol.mjs'

const MAX_RECORD_BYTES = 1024 * 1024
const MAX_VALUE_BYTES_OF_A_LARGE_RECORD = 64

const OPERATORS = { eq: '=', neq: '<>', lt: '<', lte: '<=', gt: '>', gte: '>=', in: '= any' }
const CONDITIONS = { '22P02': 'invalid_text_representation', 42704: 'undefined_object', P0001: 'raise_exception' }

// pgoutput's text is wanted as it is.
const TEXT_TYPES = Object.fromEntries(
  [16, 17, 20, 21, 23, 26, 114, 700, 701, 1082, 1114, 1184, 3802].map((oid) => [oid, { to: oid, from: [oid], serialize: String, parse: (text) => text }]),
)

/** Realtime's id of a binding is a hash of its parameters: equal bindings share it. */
export function bindingId(binding) {
  const text = JSON.stringify(['event', 'schema', 'table', 'filter', 'select'].map((key) => binding[key] ?? null))
  return createHash('md5').update(text).digest().readUInt32BE(0) % 2 ** 27
}

/**
 * Everything that is committed to a published table, in commit order, from one logical replication slot; and what
 * realtime.send() wrote, to `onBroadcast`, out of the same stream.
 */
export class Changes {
  #subscriptions = new Map()
  #work = Promise.resolve()

  constructor({ connect, sql, onBroadcast, isLost, log }) {
    this.sql = sql
    this.isLost = isLost
    this.onBroadcast = onBroadcast
    this.log = log
    this.stream = connect({ publications: 'supabase_realtime,supabase_realtime_messages_publication', types: TEXT_TYPES })
  }

  async start() {
    await this.stream.subscribe('*', (row, change) => {
      this.#work = this.#work.then(() => this.#handle(row, change)).catch((error) => this.log(`realtime: ${error.stack}`))
    })
  }

  async stop() {
    await this.stream.end({ timeout: 1 })
    await this.#work
  }

  /** Throws what Realtime tells the client when it does not like a binding. `onChange({ids, data})` gets the changes. */
  async subscribe(owner, { claims, bindings, onChange }) {
    const wanted = []
    for (const binding of bindings) wanted.push({ ...binding, id: bindingId(binding), conditions: await this.#check(binding, claims) })
    this.#subscriptions.set(owner, { claims, bindings: wanted, onChange })
  }

  unsubscribe(owner) {
    this.#subscriptions.delete(owner)
  }

  async #check(binding, claims) {
    const { event = '*', schema, table, filter } = binding
    if (!schema && !table) {
      const given = Object.entries(binding).map(([key, value]) => `"${key}" => "${value}"`)
      throw new Error(`No subscription params provided. Please provide at least a \`schema\` or \`table\` to subscribe to: %{${given.join(', ')}}`)
    }
    const conditions = parseFilter(filter)
    const filters = conditions.map((c) => `{"${c.column}", "${c.operator}", "${c.value}", false}`).join(', ')
    const parameters = `[event: ${event}, schema: ${schema ?? 'public'}, table: ${table ?? '*'}, filters: [${filters}], select: nil]`

    const published = await this.sql`select from pg_publication_tables where pubname = 'supabase_realtime'
      and schemaname = ${schema ?? 'public'} and ${table ?? '*'}::text in ('*', tablename) limit 1`
    if (published.length === 0) {
      throw new Error(`Unable to subscribe to changes with given parameters. Please check Realtime is enabled for the given connect parameters: ${parameters}`)
    }
    try {
      await this.sql.begin(async (tx) => {
        await tx`select ${claims.role}::text::regrole`
        await actAs(tx, claims)
        if (conditions.length === 0) return
        const { columns } = await describe(tx, schema, table)
        for (const { column, operator, value } of conditions) {
          const known = columns.find((c) => c.name === column)
          if (!known) throw Object.assign(new Error(`invalid column for filter ${column}`), { code: 'P0001' })
          await compare(tx, known.type, operator, null, value)
        }
      })
    } catch (error) {
      const exception = `ERROR ${error.code} (${CONDITIONS[error.code] ?? 'error'}) ${error.message}`
      throw new Error(`Unable to subscribe to changes with given parameters. An exception happened so please check your connect parameters: ${parameters}. Exception: ${exception}`)
    }
    return conditions
  }

  async #handle(row, { command, relation, old, key }) {
    if (this.isLost()) return
    if (relation.schema === 'realtime') {
      if (relation.table === 'messages' && row.extension === 'broadcast') this.onBroadcast(row)
      return
    }
    const type = command.toUpperCase()
    const meant = (b) =>
      (b.schema ?? 'public') === relation.schema && ['*', undefined, relation.table].includes(b.table) && ['*', undefined, type].includes(b.event)
    const candidates = [...this.#subscriptions].filter(([, { bindings }]) => bindings.some(meant))
    if (candidates.length === 0) return

    const table = await describe(this.sql, relation.schema, relation.table)
    const keys = table.columns.filter((column) => column.isKey)
    const data = await this.#data({ type, relation, table, keys, row, old, key })
    const filterable = type === 'DELETE' && key ? pick(row, keys) : row
    const seenBy = new Map()
    for (const [owner, { claims, bindings, onChange }] of candidates) {
      const ids = new Set()
      for (const binding of bindings.filter(meant)) if (await this.#passes(binding, table, filterable)) ids.add(binding.id)
      if (ids.size === 0) continue
      const user = JSON.stringify(claims)
      if (!seenBy.has(user)) seenBy.set(user, type === 'DELETE' ? 'yes' : await this.#visible(claims, table, keys, row))
      const seen = seenBy.get(user)
      // The channel may have left while the database was asked.
      if (seen === 'no' || !this.#subscriptions.has(owner)) continue
      onChange({ ids: [...ids].sort((a, b) => a - b), data: seen === 'yes' ? data : unauthorized(type, relation) })
    }
  }

  async #passes(binding, table, row) {
    for (const { column, operator, value } of binding.conditions) {
      const known = table.columns.find((c) => c.name === column)
      if (!known || row[column] === undefined || !(await compare(this.sql, known.type, operator, row[column], value))) return false
    }
    return true
  }

  /** Row level security decides on the row as it is now, as Realtime does it. */
  async #visible(claims, table, keys, row) {
    const condition = keys.map((column, n) => `${column.ident} = $${n + 1}::text::${column.type}`).join(' and ')
    try {
      return await this.sql.begin(async (tx) => {
        await actAs(tx, claims)
        const rows = await tx.unsafe(`select from ${table.ident} where ${condition || 'false'}`, keys.map((column) => row[column.name]))
        return rows.length > 0 ? 'yes' : 'no'
      })
    } catch (error) {
      if (error.code === '42501') return 'unauthorized'
      throw error
    }
  }

  async #data({ type, relation, table, keys, row, old, key }) {
    const { columns } = table
    const errors = []
    const parts = { table: relation.table, type }
    if (type !== 'DELETE') {
      const record = await this.#json(table, columns, row)
      if (record.tooLarge) errors.push('Error 413: Payload Too Large')
      parts.record = new RawJson(record.text)
    }
    parts.columns = columns.map(({ name, typname }) => ({ name, type: typname }))
    parts.errors = errors.length > 0 ? errors : null
    parts.schema = relation.schema
    parts.commit_timestamp = new Date().toISOString()
    if (type !== 'INSERT') {
      const before = type === 'DELETE' ? row : (old ?? row)
      const whole = !key && (type === 'DELETE' ? !table.rls : old)
      parts.old_record = new RawJson((await this.#json(table, whole ? columns : keys, before)).text)
    }
    const members = Object.entries(parts).map(([name, value]) => `"${name}":${value instanceof RawJson ? value.text : JSON.stringify(value)}`)
    return new RawJson(`{${members.join(',')}}`)
  }

  /** The row as PostgreSQL itself writes it in JSON. Large values that an update did not touch are not in the stream. */
  async #json(table, columns, row) {
    const present = columns.filter(({ name }) => row[name] !== undefined)
    const members = present.map(({ name, typname }) => {
      const value = row[name] === null ? 'null' : /^jsonb?$/.test(typname) ? row[name] : JSON.stringify(row[name])
      return `${JSON.stringify(name)}:${value}`
    })
    const text = async (limit) => {
      const [{ json }] = await this.sql.unsafe(
        `select coalesce(jsonb_object_agg(key, value), '{}')::text as json
         from jsonb_each(to_jsonb(jsonb_populate_record(null::${table.ident}, $1::text::jsonb)))
         where key = any($2::text[]) and ($3::int is null or octet_length(value::text) <= $3::int)`,
        [`{${members.join(',')}}`, present.map(({ name }) => name), limit],
      )
      return json
    }
    const full = await text(null)
    if (Buffer.byteLength(full) <= MAX_RECORD_BYTES) return { text: full, tooLarge: false }
    return { text: await text(MAX_VALUE_BYTES_OF_A_LARGE_RECORD), tooLarge: true }
  }
}

function unauthorized(type, { schema, table }) {
  const errors = ['Error 401: Unauthorized']
  return new RawJson(JSON.stringify({ table, type, record: {}, columns: [], errors, schema, commit_timestamp: new Date().toISOString() }))
}

function pick(row, columns) {
  return Object.fromEntries(columns.map(({ name }) => [name, row[name]]))
}

/** `column=operator.value`, several joined by commas; a list is `in.(a,b)`. */
function parseFilter(filter) {
  if (!filter) return []
  return filter.match(/[^,(]*\([^)]*\)|[^,]+/g).map((part) => {
    const [, column, rest] = /^([^=]*)=?(.*)$/s.exec(part)
    const [, operator, value] = /^([^.]*)\.?(.*)$/s.exec(rest)
    if (!(operator in OPERATORS)) throw new Error(`Error parsing \`filter\` params: ["${operator}", "${value}"]`)
    return { column, operator, value }
  })
}

async function compare(sql, type, operator, value, wanted) {
  const list = operator === 'in'
  const right = list ? `(string_to_array($2::text, ',')::${type}[])` : `$2::text::${type}`
  const operand = list ? wanted.replace(/^\(|\)$/g, '') : wanted
  const [{ passes }] = await sql.unsafe(`select $1::text::${type} ${OPERATORS[operator]} ${right} as passes`, [value, operand])
  return passes === true
}

async function describe(sql, schema, table) {
  const columns = await sql`
    select a.attname as name, quote_ident(a.attname) as ident, format_type(a.atttypid, a.atttypmod) as type, t.typname,
      coalesce(a.attnum = any(i.indkey), false) as "isKey", c.relrowsecurity as rls, format('%I.%I', n.nspname, c.relname) as table
    from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    join pg_type t on t.oid = a.atttypid
    left join pg_index i on i.indrelid = c.oid and i.indisprimary
    where n.nspname = ${schema ?? 'public'} and c.relname = ${table ?? ''}
    order by a.attnum`
  return { ident: columns[0]?.table, rls: columns[0]?.rls ?? false, columns }
}
