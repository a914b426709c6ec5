import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { startStack } from '../../dev/stack/index.mjs'

export const uuid = randomUUID

export function supabaseFile(path) {
  return readFile(new URL(`../../supabase/${path}`, import.meta.url), 'utf8')
}

/** Fails unless the call is refused with this SQLSTATE; over HTTP also with this status. */
export async function refused(call, code, status) {
  await assert.rejects(call, (error) => {
    assert.equal(error.code, code, error.message)
    if (error.status !== undefined && status !== undefined) assert.equal(error.status, status)
    return true
  })
}

/** One message of a batch. */
export function row(conversation_id, content = 'hello', more = {}) {
  return { id: uuid(), conversation_id, content, ...more }
}

export function statuses(answers) {
  return answers.map((answer) => answer.status)
}

/**
 * The local stack with the two ways to call a function: as SQL under the role and claims of a user, and over the Data API.
 * A user is one of `users`, 'anon' or 'service_role'; both ways answer JSON of the same shape and throw errors with `code`.
 */
export async function startWorld() {
  const stack = await startStack()
  const { sql, users } = stack

  const roleOf = (user) => (typeof user === 'string' ? user : 'authenticated')
  const claimsOf = (user) => JSON.stringify({ role: roleOf(user), ...(user.id && { sub: user.id }) })

  const actAs = (tx, user) =>
    tx`select set_config('role', ${roleOf(user)}, true), set_config('request.jwt.claims', ${claimsOf(user)}, true)`
  const callIn = async (tx, name, args) => {
    const list = Object.keys(args).map((key, n) => `${key} => $${n + 1}`)
    const answers = await tx.unsafe(`select to_jsonb(r) as r from public.${name}(${list}) r`, Object.values(args))
    return answers.map((answer) => answer.r)
  }
  const inRole = (user, work) =>
    sql.begin(async (tx) => {
      await actAs(tx, user)
      return work(tx)
    })

  const fetchAs = async (user, path, { method = 'GET', body, headers = {} } = {}) => {
    const token = user === 'anon' ? stack.apiKey : user === 'service_role' ? stack.serviceKey : await stack.tokenFor(user.id)
    const response = await fetch(`${stack.url}/rest/v1/${path}`, {
      method,
      headers: { apikey: stack.apiKey, authorization: `Bearer ${token}`, 'content-type': 'application/json', ...headers },
      body: body === undefined ? undefined : JSON.stringify(body),
    })
    const text = await response.text()
    const answer = text === '' ? null : JSON.parse(text)
    if (!response.ok) throw Object.assign(new Error(text), { code: answer.code, status: response.status })
    return answer
  }

  const bySql = (user, name, args) => inRole(user, (tx) => callIn(tx, name, args))
  const byHttp = (user, name, args) => fetchAs(user, `rpc/${name}`, { method: 'POST', body: args })

  /** chat_send, chat_sync and chat_ack with the expected user filled in. */
  const chat = (call) => ({
    call,
    send: (user, batch) => call(user, 'chat_send', { expected_user: user.id, batch }),
    sync: (user, cursors, max_rows) =>
      call(user, 'chat_sync', { expected_user: user.id, cursors, ...(max_rows === undefined ? {} : { max_rows }) }),
    ack: (user, acks) => call(user, 'chat_ack', { expected_user: user.id, acks }),
  })

  return {
    stack,
    sql,
    users,
    actAs,
    callIn,
    inRole,
    fetchAs,
    ways: { sql: chat(bySql), http: chat(byHttp) },

    /** A new conversation of these users, by default operator and client. */
    async conversation(...members) {
      const id = `test-${uuid()}`
      const list = (members.length > 0 ? members : [users.operator, users.client]).map((user) => ({ user_id: user.id, role: user.role }))
      await bySql('service_role', 'chat_ensure', { conversation_id: id, members: list })
      return id
    },
    async rows(conversation) {
      const found = await sql`
        select to_jsonb(m) as m from chat_messages m where conversation_id = ${conversation} order by seq`
      return found.map(({ m }) => m)
    },
    async lastSeq(conversation) {
      const [{ last_seq }] = await sql`select last_seq from chat_conversations where id = ${conversation}`
      return Number(last_seq)
    },
    async members(conversation) {
      const found = await sql`
        select to_jsonb(k) as k from chat_members k where conversation_id = ${conversation} order by role`
      return found.map(({ k }) => k)
    },
    /** What the members' inboxes were told about a conversation since `realtime.messages` was last emptied. */
    async liveEvents(conversation) {
      return sql`
        select topic, event, private, extension, payload from realtime.messages
        where payload ->> 'conversation_id' = ${conversation} order by inserted_at, topic`
    },
    /** Everything `work` does is undone afterwards. */
    async undone(work) {
      const enough = new Error('undo')
      await sql
        .begin(async (tx) => {
          await work(tx)
          throw enough
        })
        .catch((error) => {
          if (error !== enough) throw error
        })
    },
    stop: () => stack.stop(),
  }
}
