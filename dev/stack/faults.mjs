import { readJwt } from './keys.mjs'
import { anySeed, seeded } from './random.mjs'

const PATHS = {
  send: /^\/rest\/v1\/rpc\/chat_send$/,
  sync: /^\/rest\/v1\/rpc\/chat_(sync|list)$/,
  ack: /^\/rest\/v1\/rpc\/chat_ack$/,
  insert: /^\/rest\/v1\/(?!rpc\/)/,
  rest: /^\/rest\/v1\//,
  auth: /^\/auth\/v1\//,
  all: /^\/(?!__faults)/,
}

const STATUS_BODIES = {
  401: { code: 'PGRST303', details: null, hint: null, message: 'JWT expired' },
  403: { code: '42501', details: null, hint: null, message: 'permission denied' },
  429: { message: 'API rate limit exceeded' },
  503: { code: 'PGRST002', details: null, hint: null, message: 'Could not query the database for the schema cache. Retrying.' },
}

const LASTING = [
  'lose_answer', 'delay', 'refuse', 'status', 'expire_tokens', 'refuse_sockets', 'mute_sockets', 'half_open', 'offline',
  'drop_live', 'double_live', 'reorder_live', 'truncate_live', 'lose_replication', 'delay_ready', 'drop_ready', 'refuse_joins', 'limit',
]
const AT_ONCE = ['cut_sockets', 'restart', 'resubscribe']

/** What a project may use, where a `limit` fault says so. */
const LIMITS = [
  'users', 'joinsPerSecond', 'channelsPerSocket', 'messagesPerSecond', 'presencePerSecond', 'presenceCalls', 'broadcastBytes',
]

/** Who asks, by the token in the request; whether that token is still good is not the question here. */
function claimsOf(headers) {
  return readJwt((headers.get('authorization') ?? '').replace(/^Bearer /, '')).claims ?? {}
}

const userOf = (headers) => claimsOf(headers).sub ?? null

/** Realtime shortens every long field of a change that is too large. */
const LONG_FIELD_BYTES = 64

export function truncated(value) {
  if (typeof value === 'string') return Buffer.byteLength(value) > LONG_FIELD_BYTES ? undefined : value
  if (Array.isArray(value)) return value.map((each) => truncated(each) ?? null)
  if (value === null || typeof value !== 'object') return value
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, truncated(each)]).filter(([, each]) => each !== undefined))
}

function statusAnswer({ status, body = STATUS_BODIES[status] ?? { message: `fault ${status}` }, headers, retryAfter, readable }) {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  return new Response(text, {
    status,
    headers: {
      'content-type': text.startsWith('<') ? 'text/html' : 'application/json; charset=utf-8',
      ...(retryAfter !== undefined && { 'retry-after': String(retryAfter) }),
      ...(readable && { 'access-control-expose-headers': 'Retry-After' }),
      ...headers,
    },
  })
}

/** What goes wrong on demand. README.md lists the kinds. */
export class Faults {
  #active = new Map()
  #lastId = 0
  #hits = {}
  #requests = {}
  #chances = new Map()

  /** Set by the stack: the open sockets, as a set of `{userId, close(code), destroy(), expire(isOver), resubscribe()}`. */
  sockets = new Set()

  add({ kind, match = 'rest', count = null, probability = 1, seed = anySeed(), user = null, ...options }) {
    if (![...LASTING, ...AT_ONCE].includes(kind)) throw new TypeError(`unknown kind of fault: ${kind}`)
    if (!(match in PATHS)) throw new TypeError(`unknown match: ${match}`)
    if (kind === 'status' && !Number.isInteger(options.status)) throw new TypeError('a status fault needs a status')
    if (kind === 'delay' && !(options.ms >= 0)) throw new TypeError('a delay fault needs ms')
    if (['delay_ready', 'restart'].includes(kind) && !(options.ms >= 0)) throw new TypeError(`a ${kind} fault needs ms`)
    if (kind === 'refuse_joins' && typeof options.reason !== 'string') throw new TypeError('a refuse_joins fault needs a reason')
    if (kind === 'limit' && !LIMITS.some((name) => options[name] >= 0)) throw new TypeError(`a limit is one of ${LIMITS.join(', ')}`)
    if (kind === 'limit' && !((options.seconds ?? 1) >= 1 && (options.seconds ?? 1) <= 60)) throw new TypeError('a limit is over 1 to 60 seconds')
    if (!Number.isInteger(seed)) throw new TypeError('a seed is a whole number')
    const fault = { id: String(++this.#lastId), kind, match, count, probability, user, ...options }
    if (probability < 1) {
      fault.seed = seed
      this.#chances.set(fault.id, seeded(seed))
    }
    if (kind === 'expire_tokens') fault.issuedBefore = Math.floor(Date.now() / 1000)
    if (kind === 'cut_sockets' || kind === 'offline') this.#cut(fault)
    if (kind === 'restart') this.#restart(fault)
    if (kind === 'resubscribe') for (const socket of this.#socketsOf(fault)) socket.resubscribe()
    if (LASTING.includes(kind)) this.#active.set(fault.id, fault)
    if (kind === 'expire_tokens') for (const socket of this.sockets) socket.expire((claims) => this.expires(claims))
    return { id: fault.id }
  }

  /** The active faults and what has happened so far. */
  list() {
    return { faults: [...this.#active.values()], hits: { ...this.#hits }, requests: { ...this.#requests }, sockets: this.sockets.size }
  }

  remove(id) {
    this.#chances.delete(id)
    return this.#active.delete(id)
  }

  clear() {
    this.#active.clear()
    this.#chances.clear()
  }

  /** No faults, and nothing has been counted yet. */
  forget() {
    this.clear()
    this.#hits = {}
    this.#requests = {}
  }

  #socketsOf({ kind, user }) {
    const found = [...this.sockets].filter((socket) => user === null || socket.userId === user)
    if (found.length > 0) this.#hits[kind] = (this.#hits[kind] ?? 0) + found.length
    return found
  }

  /** Realtime is away for a while, and hears nothing of what is committed meanwhile. */
  #restart(fault) {
    const away = ['refuse_sockets', 'lose_replication'].map((kind) => this.add({ kind }).id)
    for (const socket of this.#socketsOf(fault)) socket.close(1012)
    setTimeout(() => away.forEach((id) => this.remove(id)), fault.ms).unref()
  }

  #cut({ kind, user, code }) {
    for (const socket of this.#socketsOf({ kind, user })) {
      if (code === undefined) socket.destroy()
      else socket.close(code)
    }
  }

  /** The first active fault of these kinds that applies now; it is used up by one. */
  #take(kinds, user, applies = () => true) {
    for (const fault of this.#active.values()) {
      if (!kinds.includes(fault.kind) || (fault.user !== null && fault.user !== user) || !applies(fault)) continue
      if (fault.probability < 1 && this.#chances.get(fault.id)() >= fault.probability) continue
      if (fault.count !== null && --fault.count <= 0) this.#active.delete(fault.id)
      this.#hits[fault.kind] = (this.#hits[fault.kind] ?? 0) + 1
      return fault
    }
    return null
  }

  /** What becomes of a request: `{refuse, delayMs, answer, loseAnswer}`. Preflights only fail when nothing answers at all. */
  request({ method, path, headers }) {
    const user = userOf(headers)
    const here = (fault) => PATHS[fault.match].test(path) && (fault.match !== 'insert' || method === 'POST')
    if (this.#take(['offline'], user)) return { refuse: true }
    if (method === 'OPTIONS') return {}
    this.#requests[path] = (this.#requests[path] ?? 0) + 1
    const delayMs = this.#take(['delay'], user, here)?.ms ?? 0
    if (!PATHS.auth.test(path) && this.expires(claimsOf(headers))) return { delayMs, answer: statusAnswer({ status: 401 }) }
    const fault = this.#take(['refuse', 'status', 'lose_answer'], user, here)
    return {
      delayMs,
      refuse: fault?.kind === 'refuse',
      loseAnswer: fault?.kind === 'lose_answer',
      answer: fault?.kind === 'status' ? statusAnswer(fault) : null,
    }
  }

  /** Is a token with these claims taken for one that has run out, whatever is written in it? */
  expires({ sub, iat = Infinity }) {
    return sub !== undefined && this.#take(['expire_tokens'], sub, (fault) => iat < fault.issuedBefore) !== null
  }

  /** Asked at the handshake, where no user is known yet, and at each join. */
  refusesSocket(user) {
    return this.#take(['refuse_sockets', 'offline'], user) !== null
  }

  /** A muted socket stays open, and nothing passes in either direction. */
  mutesSocket(user) {
    return this.#take(['mute_sockets'], user) !== null
  }

  /** A half-open socket was accepted and is silent for ever; nobody closes it. */
  halfOpens(user) {
    return this.#take(['half_open'], user) !== null
  }

  /** What a join is refused with, in place of an answer of its own. */
  joinRefusal({ user, topic }) {
    const here = (fault) => fault.topic === undefined || topic.startsWith(fault.topic)
    return this.#take(['refuse_joins'], user, here)?.reason ?? null
  }

  /** Nothing that is committed now reaches anybody, and nobody is told. */
  losesReplication() {
    return this.#take(['lose_replication'], null) !== null
  }

  /** After how many milliseconds a channel reports that it is ready; null: never. */
  readyAfter(user, ms) {
    const fault = this.#take(['drop_ready', 'delay_ready'], user)
    if (fault?.kind === 'drop_ready') return null
    return fault?.ms ?? ms
  }

  /** The lowest that is set; without one there is no limit. */
  limit(name) {
    const set = [...this.#active.values()].filter((fault) => fault.kind === 'limit' && fault[name] !== undefined)
    return Math.min(Infinity, ...set.map((fault) => fault[name]))
  }

  /** Over how many seconds a rate is taken. */
  get limitSeconds() {
    return Math.max(1, ...[...this.#active.values()].map((fault) => (fault.kind === 'limit' && fault.seconds) || 1))
  }

  /** Is this much more than the limit of that name? */
  exceeds(name, value) {
    const over = value > this.limit(name)
    if (over) this.#hits[name] = (this.#hits[name] ?? 0) + 1
    return over
  }

  /** A change of a table, as text, perhaps without its long fields, and saying so. */
  change(user, text) {
    if (this.#take(['truncate_live'], user) === null) return text
    const change = JSON.parse(text)
    return JSON.stringify({ ...change, record: truncated(change.record), errors: ['Error 413: Payload Too Large'] })
  }

  /** The payload of a live event (JSON), perhaps without its long fields. */
  payload(user, bytes) {
    if (this.#take(['truncate_live'], user) === null) return bytes
    return Buffer.from(JSON.stringify(truncated(JSON.parse(bytes.toString()))))
  }

  /** What of a live event goes out now, and what is held back until the next one. */
  live(user, frame, held = null) {
    const kind = this.#take(['drop_live', 'double_live', 'reorder_live'], user)?.kind
    if (kind === 'drop_live') return { send: [], held }
    if (kind === 'reorder_live' && held === null) return { send: [], held: frame }
    const send = kind === 'double_live' ? [frame, frame] : [frame]
    return { send: held === null ? send : [...send, held], held: null }
  }

  /** The same by HTTP: POST, GET, DELETE /__faults[/id]. */
  http({ method, path, body }) {
    const id = path.slice('/__faults'.length).replace(/^\//, '')
    if (method === 'GET' && !id) return Response.json(this.list())
    if (method === 'DELETE' && !id) {
      this.clear()
      return new Response(null, { status: 204 })
    }
    if (method === 'DELETE') return new Response(null, { status: this.remove(id) ? 204 : 404 })
    if (method !== 'POST' || id) return new Response(null, { status: 405 })
    try {
      return Response.json(this.add(JSON.parse(body.toString())), { status: 201 })
    } catch (error) {
      return Response.json({ message: error.message }, { status: 400 })
    }
  }
}
