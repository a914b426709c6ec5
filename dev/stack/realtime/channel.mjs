import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { expiredText, readable, writable } from './authorize.mjs'
import { bindingId } from './changes.mjs'
import { MAX_CALLS } from './presence.mjs'
import { encode, encodeBroadcast, RawJson } from './protocol.mjs'

const MAX_BROADCAST_BYTES = 3_000_000
const MAX_TOKEN_CHECK_MS = 5 * 60_000

const isToken = (token) => typeof token === 'string' && token !== '' && !token.startsWith('sb_')
const forbidden = (name) => `You do not have permissions to read from this Channel topic: ${name}`

/** One joined topic of one socket. */
export class Channel {
  #timers = new Set()
  #mayWrite = new Map()

  constructor(socket, { joinRef, topic, config, token, claims }) {
    this.socket = socket
    this.hub = socket.hub
    this.joinRef = joinRef
    this.topic = topic
    this.name = topic.slice('realtime:'.length)
    this.private = config?.private === true
    this.broadcast = config?.broadcast ?? {}
    this.presenceKey = config?.presence?.key || randomUUID()
    this.wantsPresence = config?.presence?.enabled === true
    // Without a config Realtime takes the join for one of its first API: the topic names a schema.
    this.bindings = config ? (config.postgres_changes ?? []) : [{ schema: this.name }]
    this.token = token
    this.claims = claims
    this.open = true
  }

  /** Answers a phx_join. Realtime makes a refused client wait. */
  static async join(socket, { joinRef, ref, topic, payload }) {
    const { hub } = socket
    const refuse = async (reason) => {
      await sleep(hub.options.joinErrorDelayMs)
      socket.send({ joinRef, ref, topic, event: 'phx_reply', payload: { status: 'error', response: { reason } } })
    }
    const name = topic.slice('realtime:'.length)
    if (name === '') return refuse('TopicNameRequired: You must provide a topic name')
    if (socket.isDead) return
    if (hub.exceeds('users', hub.sockets.size)) return refuse('ConnectionRateLimitReached: Too many connected users')
    if (hub.exceeds('joinsPerSecond', hub.rates.joins.count())) {
      await refuse('ClientJoinRateLimitReached: Too many joins per second')
      return socket.close(1001)
    }
    if (hub.exceeds('channelsPerSocket', socket.channels + 1)) return refuse('ChannelRateLimitReached: Too many channels')
    const token = isToken(payload.access_token) ? payload.access_token : socket.keyToken
    const { claims, refused } = hub.judge(token)
    if (refused) return refuse(refused.atJoin)
    socket.userId = claims.sub ?? socket.userId
    if (hub.faults.refusesSocket(socket.userId)) return socket.destroy()
    socket.isDead ||= hub.faults.halfOpens(socket.userId)
    const refusal = hub.faults.joinRefusal({ user: socket.userId, topic: name })
    if (refusal !== null) return refuse(refusal)

    const channel = new Channel(socket, { joinRef, topic, config: payload.config, token, claims })
    if (channel.private && !(await channel.#authorize())) return refuse(`Unauthorized: ${forbidden(name)}`)
    if (!socket.isOpen) return
    const given = channel.bindings.map((binding) => ({ id: bindingId(binding), ...binding }))
    channel.#reply(ref, 'ok', { postgres_changes: given })
    channel.#enter()
    return channel
  }

  async #authorize() {
    const extensions = await readable(this.hub.sql, this.claims, this.name)
    this.mayReadPresence = extensions.includes('presence')
    return extensions.includes('broadcast')
  }

  #enter() {
    this.room = this.hub.enter(this)
    this.#watchExpiry()
    if (this.wantsPresence && (!this.private || this.mayReadPresence)) {
      this.#push({ joinRef: this.joinRef, event: 'presence_state', payload: this.room.presence.state() })
    }
    if (this.broadcast.replication_ready) {
      this.#whenReady(() => this.#system('system', 'ok', 'Replication connection established'))
    }
    if (this.bindings.length > 0) this.#whenReady(() => this.#subscribe())
  }

  #whenReady(work) {
    const ms = this.hub.faults.readyAfter(this.claims.sub, this.hub.options.readyDelayMs)
    if (ms !== null) this.#later(ms, work)
  }

  async #subscribe() {
    try {
      await this.hub.changes.subscribe(this, {
        claims: this.claims,
        bindings: this.bindings,
        onChange: (change) => this.#change(change),
      })
    } catch (error) {
      if (this.open) this.#system('postgres_changes', 'error', error.message)
      return
    }
    if (!this.open) return this.hub.changes.unsubscribe(this)
    this.#system('postgres_changes', 'ok', 'Subscribed to PostgreSQL')
  }

  /** Over the limit changes are dropped, and nobody is told. */
  #change({ ids, data }) {
    if (this.hub.exceeds('messagesPerSecond', this.hub.rates.messages.count())) return
    const text = this.hub.faults.change(this.claims.sub, data.text)
    this.live(encode(this.socket.version, {
      topic: this.topic,
      event: 'postgres_changes',
      payload: new RawJson(`{"data":${text},"ids":${JSON.stringify(ids)}}`),
    }))
  }

  /** The server made its subscription anew, and what was committed in between is lost. */
  resubscribe() {
    if (this.bindings.length > 0) this.#system('postgres_changes', 'ok', 'Subscribed to PostgreSQL')
  }

  async handle(message) {
    switch (message.event) {
      case 'phx_leave':
        this.#reply(message.ref, 'ok', {})
        return this.close()
      case 'access_token':
        return this.#renew(message.payload.access_token)
      case 'broadcast':
        return this.#broadcast(message)
      case 'presence':
        return this.#presence(message)
    }
  }

  async #renew(token) {
    if (!isToken(token) || token === this.token) return
    const { claims, refused } = this.hub.judge(token)
    if (refused) return this.#shutdown(refused.atPush)
    this.token = token
    this.claims = claims
    this.socket.userId = claims.sub ?? this.socket.userId
    this.#mayWrite.clear()
    if (this.private && !(await this.#authorize())) return this.#shutdown(forbidden(this.name))
    this.#watchExpiry()
    if (this.bindings.length > 0) this.#later(this.hub.options.readyDelayMs, () => this.#subscribe())
  }

  #watchExpiry() {
    clearTimeout(this.expiry)
    const left = this.claims.exp * 1000 - Date.now()
    if (left <= 0) return this.#shutdown(expiredText(this.claims))
    this.expiry = setTimeout(() => this.#watchExpiry(), Math.min(left, MAX_TOKEN_CHECK_MS))
  }

  async #permits(extension) {
    if (!this.private) return true
    if (!this.#mayWrite.has(extension)) this.#mayWrite.set(extension, await writable(this.hub.sql, this.claims, this.name, extension))
    return this.#mayWrite.get(extension)
  }

  /** What a policy forbids is dropped without a word, even when the client asked for an ack. */
  async #broadcast({ ref, payload, binary }) {
    if (!(await this.#permits('broadcast'))) return
    const bytes = binary ? binary.bytes.length : Buffer.byteLength(JSON.stringify(payload))
    const tooLarge = this.hub.exceeds('broadcastBytes', bytes) || bytes > MAX_BROADCAST_BYTES
    if (this.#isOverRate()) return
    if (!tooLarge) {
      for (const channel of this.room.channels) {
        if (channel === this && !this.broadcast.self) continue
        if (binary) channel.receive({ ...binary })
        else channel.receiveText(payload)
      }
    }
    if (this.broadcast.ack) this.#reply(ref, tooLarge ? 'error' : 'ok', tooLarge ? 'payload_size_exceeded' : {})
  }

  async #presence({ ref, payload }) {
    const { presence } = this.room
    if (this.hub.exceeds('presencePerSecond', this.hub.rates.presence.count())) return this.#shutdown('Too many presence messages per second')
    const calls = presence.calls(this)
    if (this.hub.exceeds('presenceCalls', calls) || calls > MAX_CALLS) return this.#shutdown('Client presence rate limit exceeded')
    const allowed = await this.#permits('presence')
    const event = String(payload.event).toLowerCase()
    this.#reply(ref, allowed ? 'ok' : 'error', {})
    if (!allowed) return
    if (event === 'track') presence.track(this, this.presenceKey, payload.payload ?? {})
    if (event === 'untrack') presence.untrack(this)
  }

  receive({ event, isJson, bytes: whole, meta }) {
    if (this.#isOverRate()) return
    const bytes = isJson ? this.hub.faults.payload(this.claims.sub, whole) : whole
    const frame = encodeBroadcast(this.socket.version, { topic: this.topic, event, isJson, bytes, meta })
    if (frame !== null) this.live(frame)
  }

  /** Every message in and every delivery out counts; whoever comes too late loses the channel. */
  #isOverRate() {
    const over = this.hub.exceeds('messagesPerSecond', this.hub.rates.messages.count())
    if (over) this.#shutdown('Too many messages per second')
    return over
  }

  receiveText(payload) {
    if (this.#isOverRate()) return
    this.live(encode(this.socket.version, { topic: this.topic, event: 'broadcast', payload }))
  }

  receivePresence(diff) {
    if (!this.wantsPresence || (this.private && !this.mayReadPresence)) return
    this.#push({ event: 'presence_diff', payload: diff })
  }

  /** Live events pass through the fault switches, which may hold one back to send it behind the next. */
  live(frame) {
    const { send, held } = this.hub.faults.live(this.claims.sub, frame, this.held)
    this.held = held
    for (const each of send) this.socket.sendFrame(each)
  }

  #reply(ref, status, response) {
    this.#push({ joinRef: this.joinRef, ref, event: 'phx_reply', payload: { status, response } })
  }

  #system(extension, status, message) {
    this.#push({ joinRef: this.joinRef, event: 'system', payload: { message, status, extension, channel: this.name } })
  }

  #push(message) {
    this.socket.send({ topic: this.topic, ...message })
  }

  #later(ms, work) {
    const timer = setTimeout(async () => {
      this.#timers.delete(timer)
      await work()
    }, ms)
    this.#timers.add(timer)
  }

  /** Ends here and now as if the token had run out, where `isOver` says so of its claims. */
  expire(isOver) {
    if (isOver(this.claims)) this.#shutdown(expiredText(this.claims))
  }

  #shutdown(message) {
    if (!this.open) return
    this.#system('system', 'error', message)
    this.close()
  }

  /** Ends the channel and says so to the client. */
  close() {
    if (this.leave()) this.#push({ joinRef: this.joinRef, ref: this.joinRef, event: 'phx_close', payload: {} })
  }

  /** Ends the channel without a word; false if it had ended before. */
  leave() {
    if (!this.open) return false
    this.open = false
    clearTimeout(this.expiry)
    for (const timer of this.#timers) clearTimeout(timer)
    this.hub.changes.unsubscribe(this)
    this.socket.forget(this)
    this.hub.exit(this)
    return true
  }
}
