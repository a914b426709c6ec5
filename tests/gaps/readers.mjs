// Who reads: by chat_sync and the inbox, and beside it as it is usually done.
import { setTimeout as sleep } from 'node:timers/promises'
import { openInbox } from './inbox.mjs'

const PAGE = 200

/** Follows one conversation by the rules of the engine: rows are taken in without a hole, whoever brings them. */
export class Follower {
  seen = []
  cursor = null
  incarnation = null
  first = 0
  #ahead = new Map()

  /** A live event. Answers whether there is a reason to ask. */
  hear({ seq, row }) {
    if (this.cursor === null || seq <= this.cursor) return this.cursor === null
    if (row) this.#ahead.set(seq, row)
    this.#takeContiguous()
    return seq > this.cursor
  }

  /** An answer of chat_sync. Answers whether to ask again. */
  take({ incarnation, first_seq, through_seq, last_seq, rows }) {
    // What is committed may be told live before every session of the database sees it.
    if (incarnation === this.incarnation && last_seq < this.cursor) return true
    if (this.cursor === null) {
      this.incarnation = incarnation
      this.first = first_seq - 1
      this.cursor = this.first
    }
    if (incarnation !== this.incarnation) throw new Error('the conversation has another incarnation')
    for (const row of rows) this.#ahead.set(row.seq, row)
    this.#takeThrough(through_seq)
    this.#takeContiguous()
    return this.cursor < last_seq
  }

  disconnected() {
    this.#ahead.clear()
  }

  #takeContiguous() {
    let through = this.cursor
    while (this.#ahead.has(through + 1)) through++
    this.#takeThrough(through)
  }

  #takeThrough(through) {
    for (const seq of [...this.#ahead.keys()].filter((seq) => seq <= through).sort((a, b) => a - b)) {
      if (seq > this.cursor) this.seen.push(this.#ahead.get(seq).id)
      this.#ahead.delete(seq)
    }
    this.cursor = Math.max(this.cursor, through)
  }
}

/** The two cursors that are usual: all rows behind the last one that was seen. */
const NAIVE = {
  time: {
    start: { created_at: '-infinity', id: '00000000-0000-0000-0000-000000000000' },
    ask: (sql, conversation, { created_at, id }) => sql`
      select id, created_at::text from public.plain_messages p
      where conversation_id = ${conversation} and (created_at, id) > (${created_at}::text::timestamptz, ${id}::uuid)
      order by p.created_at, p.id limit ${PAGE}`,
    behind: (sql, conversation, { created_at, id }) => sql`
      select count(*)::int as count from public.plain_messages
      where conversation_id = ${conversation} and (created_at, id) <= (${created_at}::text::timestamptz, ${id}::uuid)`,
  },
  number: {
    start: { number: '0' },
    ask: (sql, conversation, { number }) => sql`
      select id, number::text from public.plain_messages p
      where conversation_id = ${conversation} and number > ${number}::text::bigint order by p.number limit ${PAGE}`,
    behind: (sql, conversation, { number }) => sql`
      select count(*)::int as count from public.plain_messages
      where conversation_id = ${conversation} and number <= ${number}::text::bigint`,
  },
}

class NaiveFollower {
  seen = []

  constructor({ start, ask, behind }) {
    this.cursor = start
    this.ask = ask
    this.behind = behind
  }

  /** Has a row come up behind the cursor, where it is never looked for again? */
  async hasMissed(sql, conversation) {
    const had = this.seen.length
    const [{ count }] = await this.behind(sql, conversation, this.cursor)
    return count > had && had === this.seen.length
  }

  async look(sql, conversation) {
    for (;;) {
      const rows = await this.ask(sql, conversation, this.cursor)
      this.seen.push(...rows.map(({ id }) => id))
      this.cursor = rows.at(-1) ?? this.cursor
      if (rows.length < PAGE) return
    }
  }
}

class Lost extends Error {}

/** One reader, connected now and then. `ours`, `time` and `number` are its three ways, by conversation. */
export class Reader {
  connects = 0
  syncs = 0
  #due = new Set()

  constructor({ stack, sql, user, conversations, random }) {
    Object.assign(this, { stack, sql, user, conversations, random })
    const each = (make) => new Map(conversations.map((id) => [id, make()]))
    this.ours = each(() => new Follower())
    this.time = each(() => new NaiveFollower(NAIVE.time))
    this.number = each(() => new NaiveFollower(NAIVE.number))
  }

  /** Comes and goes until `isOver`. */
  async live(isOver) {
    while (!isOver()) {
      const away = new AbortController()
      const end = setTimeout(() => away.abort(), 400 + this.random() * 2500)
      const naive = this.#look(away.signal)
      naive.catch(() => away.abort())
      try {
        await this.#follow(away.signal, isOver)
      } catch (error) {
        if (!away.signal.aborted && !(error instanceof Lost)) throw error
      } finally {
        clearTimeout(end)
        away.abort()
        await naive
        for (const follower of this.ours.values()) follower.disconnected()
      }
      await sleep(this.random() * 600)
    }
  }

  /** The last look, when everything is committed. */
  async finish() {
    await this.#sync(new Set(this.conversations))
    await this.#lookOnce()
  }

  /** Subscribe, then catch up, then live; a hole is a reason to ask at once. */
  async #follow(signal, isOver) {
    const token = await this.stack.tokenFor(this.user.id)
    const early = []
    let isCaughtUp = false
    const onEvent = ({ event, payload }) => {
      if (event !== 'message' || signal.aborted) return
      if (isCaughtUp) this.#hear(payload)
      else early.push(payload)
    }
    const close = await openInbox({ stack: this.stack, userId: this.user.id, token, onEvent }).catch((error) => {
      throw new Lost(error.message)
    })
    try {
      this.connects++
      await this.#sync(new Set(this.conversations), { signal, token })
      isCaughtUp = true
      for (const payload of early) this.#hear(payload)
      while (!signal.aborted && !isOver()) {
        const due = this.random() < 0.02 ? new Set(this.conversations) : new Set(this.#due)
        this.#due.clear()
        if (due.size > 0) await this.#sync(due, { signal, token })
        await sleep(5 + this.random() * 20)
      }
    } finally {
      close()
    }
  }

  #hear(payload) {
    if (this.ours.get(payload.conversation_id)?.hear(payload)) this.#due.add(payload.conversation_id)
  }

  async #sync(open, { signal, token } = {}) {
    token ??= await this.stack.tokenFor(this.user.id)
    while (open.size > 0) {
      const cursors = Object.fromEntries([...open].map((id) => {
        const { cursor: seq, incarnation } = this.ours.get(id)
        return [id, { seq, incarnation }]
      }))
      const answer = await fetch(`${this.stack.url}/rest/v1/rpc/chat_sync`, {
        method: 'POST',
        signal,
        headers: { apikey: this.stack.apiKey, authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: JSON.stringify({ expected_user: this.user.id, cursors, max_rows: 50 + Math.floor(this.random() * 150) }),
      })
      if (!answer.ok) throw new Error(`chat_sync: ${answer.status} ${await answer.text()}`)
      this.syncs++
      for (const { conversation_id, status, ...page } of await answer.json()) {
        if (status !== 'ok') throw new Error(`chat_sync: ${conversation_id} is ${status}`)
        if (!this.ours.get(conversation_id).take(page)) open.delete(conversation_id)
      }
    }
  }

  /** Has each of the usual cursors missed something by now? */
  async showsSomething() {
    for (const way of [this.time, this.number]) {
      const missed = await Promise.all([...way].map(([id, follower]) => follower.hasMissed(this.sql, id)))
      if (!missed.includes(true)) return false
    }
    return true
  }

  /** As often as the other way hears of something, and more. */
  async #look(signal) {
    while (!signal.aborted) {
      await this.#lookOnce()
      await sleep(5 + this.random() * 20)
    }
  }

  async #lookOnce() {
    for (const id of this.conversations) {
      await this.time.get(id).look(this.sql, id)
      await this.number.get(id).look(this.sql, id)
    }
  }
}
