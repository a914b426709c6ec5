import { setTimeout as sleep } from 'node:timers/promises'
import { WebSocketServer } from 'ws'
import { judgeToken, refusedAsExpired, writable } from './authorize.mjs'
import { Changes } from './changes.mjs'
import { Channel } from './channel.mjs'
import { Presence } from './presence.mjs'
import { decode, encode, VERSIONS } from './protocol.mjs'
import { Rate } from './rate.mjs'

const MAX_FRAME_BYTES = 5_000_000

const DEFAULTS = {
  // Realtime waits 2 s and 5 s.
  connectErrorDelayMs: 50,
  joinErrorDelayMs: 50,
  readyDelayMs: 10,
  idleMs: 60_000,
}

/** One client's connection. Frames are handled one after the other, as Phoenix does it. */
class Socket {
  #work = Promise.resolve()
  #channels = new Map()

  constructor(hub, ws, { version, keyToken, keyClaims }) {
    this.hub = hub
    this.ws = ws
    this.version = version
    this.keyToken = keyToken
    this.userId = keyClaims.sub ?? null
    this.heardAt = Date.now()
    this.isDead = hub.faults.halfOpens(null)
    ws.on('message', (data, isBinary) => {
      this.heardAt = Date.now()
      if (this.isDead || hub.faults.mutesSocket(this.userId)) return
      const message = decode(version, data, isBinary)
      if (message) this.#work = this.#work.then(() => this.#handle(message)).catch((error) => hub.log(`realtime: ${error.stack}`))
    })
    ws.on('close', () => {
      for (const channel of [...this.#channels.values()]) channel.leave()
      hub.sockets.delete(this)
    })
    ws.on('error', () => {})
  }

  get isOpen() {
    return this.ws.readyState === this.ws.OPEN
  }

  async #handle(message) {
    if (!this.isOpen) return
    const { joinRef, ref, topic, event } = message
    if (topic === 'phoenix' && event === 'heartbeat') return this.#answer(null, ref, topic, 'ok', {})
    const channel = this.#channels.get(topic)
    if (event === 'phx_join' && topic.startsWith('realtime:')) {
      channel?.leave()
      const joined = await Channel.join(this, message)
      if (joined?.open) this.#channels.set(topic, joined)
      // The answer to the new join comes before the old one's end, which carries the old reference.
      if (channel) this.send({ joinRef: channel.joinRef, ref: channel.joinRef, topic, event: 'phx_close', payload: {} })
    } else if (channel) {
      await channel.handle(message)
    } else if (event === 'phx_leave') {
      this.#answer(joinRef, ref, topic, 'ok', {})
    } else {
      this.#answer(null, ref, topic, 'error', { reason: 'unmatched topic' })
    }
  }

  #answer(joinRef, ref, topic, status, response) {
    this.send({ joinRef, ref, topic, event: 'phx_reply', payload: { status, response } })
  }

  send(message) {
    this.sendFrame(encode(this.version, message))
  }

  sendFrame(frame) {
    if (this.isOpen && !this.isDead && !this.hub.faults.mutesSocket(this.userId)) this.ws.send(frame)
  }

  get channels() {
    return this.#channels.size
  }

  resubscribe() {
    for (const channel of this.#channels.values()) channel.resubscribe()
  }

  forget(channel) {
    if (this.#channels.get(channel.topic) === channel) this.#channels.delete(channel.topic)
  }

  /** Ends the channels whose token is over. */
  expire(isOver) {
    for (const channel of [...this.#channels.values()]) channel.expire(isOver)
  }

  close(code) {
    this.ws.close(code)
  }

  destroy() {
    this.ws.terminate()
  }
}

function refuseUpgrade(stream, status, body) {
  const text = body ? JSON.stringify(body) : ''
  const reason = { 401: 'Unauthorized', 403: 'Forbidden', 404: 'Not Found', 429: 'Too Many Requests' }[status]
  const headers = `content-type: application/json; charset=utf-8\r\ncontent-length: ${Buffer.byteLength(text)}\r\nconnection: close`
  stream.end(`HTTP/1.1 ${status} ${reason}\r\n${headers}\r\n\r\n${text}`)
}

/** The Realtime endpoint: sockets, rooms (a topic, public or private), and what comes from the database. */
export class Realtime {
  sockets = new Set()
  rates = Object.fromEntries(['joins', 'messages', 'presence'].map((name) => [name, new Rate(() => this.faults.limitSeconds)]))
  #rooms = new Map()
  #server = new WebSocketServer({ noServer: true, maxPayload: MAX_FRAME_BYTES })

  constructor({ connect, faults, log, options }) {
    this.options = { ...DEFAULTS, ...options }
    this.faults = faults
    this.log = log
    this.sql = connect({ max: 6 })
    this.changes = new Changes({ connect, sql: this.sql, log, isLost: () => faults.losesReplication(), onBroadcast: (row) => this.#fromDatabase(row) })
  }

  async start() {
    await this.changes.start()
    this.idleCheck = setInterval(() => {
      const limit = Date.now() - this.options.idleMs
      for (const socket of this.sockets) if (socket.heardAt < limit) socket.close(1000)
    }, Math.min(this.options.idleMs / 10, 5000))
  }

  async stop() {
    clearInterval(this.idleCheck)
    for (const socket of this.sockets) socket.close(1012)
    for (const left = Date.now() + 200; this.sockets.size > 0 && Date.now() < left; ) await sleep(10)
    for (const socket of this.sockets) socket.destroy()
    await this.changes.stop()
    await this.sql.end({ timeout: 5 })
  }

  async upgrade(request, stream, head) {
    stream.on('error', () => stream.destroy())
    const url = new URL(request.url, 'http://localhost')
    if (url.pathname !== '/realtime/v1/websocket') return refuseUpgrade(stream, 404, { error: 'Not Found' })
    if (this.faults.refusesSocket(null)) return stream.destroy()
    const version = url.searchParams.get('vsn') ?? '1.0.0'
    if (!VERSIONS.includes(version)) return refuseUpgrade(stream, 403)
    const keyToken = request.headers['x-api-key'] ?? url.searchParams.get('apikey') ?? ''
    const { claims, refused } = judgeToken(keyToken)
    if (refused) {
      await sleep(this.options.connectErrorDelayMs)
      return refuseUpgrade(stream, 401, { error: refused.atConnect })
    }
    const tooMuch =
      (this.exceeds('users', this.sockets.size + 1) && 'Too many connected users') ||
      (this.exceeds('joinsPerSecond', this.rates.joins.perSecond) && 'Too many joins per second')
    if (tooMuch) {
      await sleep(this.options.connectErrorDelayMs)
      return refuseUpgrade(stream, 429, { error: tooMuch })
    }
    this.#server.handleUpgrade(request, stream, head, (ws) => {
      this.sockets.add(new Socket(this, ws, { version, keyToken, keyClaims: claims }))
    })
  }

  exceeds(limit, value) {
    return this.faults.exceeds(limit, value)
  }

  judge(token) {
    const verdict = judgeToken(token)
    return verdict.claims && this.faults.expires(verdict.claims) ? refusedAsExpired(verdict.claims) : verdict
  }

  enter(channel) {
    const name = roomName(channel.private, channel.name)
    if (!this.#rooms.has(name)) {
      const channels = new Set()
      const presence = new Presence((diff) => channels.forEach((each) => each.receivePresence(diff)))
      this.#rooms.set(name, { channels, presence })
    }
    const room = this.#rooms.get(name)
    room.channels.add(channel)
    return room
  }

  exit(channel) {
    const { room } = channel
    if (!room) return
    room.channels.delete(channel)
    room.presence.untrack(channel)
    if (room.channels.size === 0) this.#rooms.delete(roomName(channel.private, channel.name))
  }

  #channelsOf(isPrivate, name) {
    return this.#rooms.get(roomName(isPrivate, name))?.channels ?? []
  }

  #fromDatabase({ topic, event, payload, private: isPrivate, id }) {
    const message = { event, isJson: true, bytes: Buffer.from(payload ?? 'null'), meta: { id } }
    // Realtime drops what is too large, and tells nobody.
    if (this.exceeds('broadcastBytes', message.bytes.length)) return
    this.rates.messages.count()
    for (const channel of this.#channelsOf(isPrivate === 't', topic)) channel.receive(message)
  }

  /** POST /realtime/v1/api/broadcast. Private messages that a policy forbids are dropped without a word. */
  async broadcastOverHttp({ headers, body }) {
    const token = (headers.get('authorization') ?? '').replace(/^Bearer /, '') || headers.get('apikey')
    const { claims, refused } = judgeToken(token)
    if (refused) return Response.json({ message: 'Unauthorized' }, { status: 401 })
    let messages
    try {
      messages = JSON.parse(body.toString()).messages
      if (!messages.every(({ topic, event, payload }) => typeof topic === 'string' && typeof event === 'string' && payload)) throw new Error()
    } catch {
      return Response.json({ errors: { messages: ["can't be blank"] } }, { status: 422 })
    }
    for (const { topic, event, payload, private: isPrivate = false } of messages) {
      if (isPrivate && !(await writable(this.sql, claims, topic, 'broadcast'))) continue
      for (const channel of this.#channelsOf(isPrivate, topic)) channel.receiveText({ event, payload, type: 'broadcast' })
    }
    return new Response(null, { status: 202 })
  }
}

function roomName(isPrivate, name) {
  return `${isPrivate ? 'private' : 'public'}:${name}`
}
