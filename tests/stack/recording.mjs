import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import WebSocket from 'ws'

const WAIT_MS = 8000

/** The events of one recording of a real Realtime server; tests/frames/README.md says what they mean. */
export async function recording(name) {
  const folder = name.endsWith('-v1') ? 'recordings' : '../frames'
  const text = await readFile(new URL(`${folder}/${name}.jsonl`, import.meta.url), 'utf8')
  const events = text.trim().split('\n').map((line) => JSON.parse(line))
  // The client's own close was noted when it was complete; others may have heard of it before.
  const began = (event) => event.t_ms - (event.dir === 'close' && event.code === 1005 ? 2 : 0)
  return events.sort((a, b) => began(a) - began(b))
}

/** A frame without what differs from run to run: ids, references and times. */
export function shape(value, key = '') {
  if (typeof value === 'string') {
    if (/^phx_ref/.test(key)) return '<ref>'
    return value
      .replace(/\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/g, '<uuid>')
      .replace(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{1,6}\+00:00$/, '<microseconds>')
      .replace(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/, '<milliseconds>')
      .replace(/expired \d+ seconds/, 'expired <n> seconds')
  }
  if (Array.isArray(value)) return key === 'ids' ? value.map(() => '<id>') : value.map((each) => shape(each))
  if (value === null || typeof value !== 'object') return value
  return Object.fromEntries(
    Object.entries(value).map(([k, v]) => [k, k === 'id' && ('schema' in value || 'event' in value) && typeof v === 'number' ? '<id>' : shape(v, k)]),
  )
}

function parseBinary(bytes) {
  assert.equal(bytes[0], 4, 'the server sends binary frames of kind 4 only')
  const [topicLength, eventLength, metaLength, encoding] = bytes.subarray(1, 5)
  let at = 5
  const [topic, event, meta] = [topicLength, eventLength, metaLength].map((length) => bytes.subarray(at, (at += length)).toString())
  const payload = bytes.subarray(at)
  return { topic, event, meta: meta && JSON.parse(meta), encoding, payload: encoding === 1 ? JSON.parse(payload.toString()) : payload.toString('hex') }
}

const eventOf = (frame) => (Array.isArray(frame) ? frame[3] : frame.event)

function comparable(data, isBinary) {
  return shape(isBinary ? parseBinary(data) : JSON.parse(data.toString()))
}

/** A raw socket whose frames are taken one by one. */
export class Peer {
  #frames = []
  #waiting = null

  constructor(url) {
    this.ws = new WebSocket(url)
    this.opened = new Promise((resolve, reject) => {
      this.ws.once('open', resolve)
      this.ws.once('error', reject)
    })
    this.opened.catch(() => {})
    this.refused = new Promise((resolve) =>
      this.ws.once('unexpected-response', async (_, response) => {
        let body = ''
        for await (const chunk of response) body += chunk
        resolve({ status: response.statusCode, body })
      }),
    )
    this.closed = new Promise((resolve) => this.ws.once('close', (code) => resolve(code)))
    this.closed.then(() => this.#waiting?.())
    this.ws.on('message', (data, isBinary) => {
      this.#frames.push({ data, isBinary })
      this.#waiting?.()
    })
  }

  get unread() {
    return this.#frames.map(({ data, isBinary }) => comparable(data, isBinary))
  }

  /** The next frame of those `wanted` accepts, or null when none comes. */
  async next(wanted = () => true) {
    const deadline = Date.now() + WAIT_MS
    for (;;) {
      const at = this.unread.findIndex(wanted)
      if (at >= 0) return comparable(...Object.values(this.#frames.splice(at, 1)[0]))
      const left = deadline - Date.now()
      if (left <= 0 || this.ws.readyState === WebSocket.CLOSED) return null
      await new Promise((resolve) => {
        const timer = setTimeout(resolve, left)
        this.#waiting = () => {
          clearTimeout(timer)
          resolve()
        }
      })
      this.#waiting = null
    }
  }

  send(data) {
    this.ws.send(data)
  }

  close() {
    this.ws.close()
  }
}

/**
 * Plays the client's part of a recording against our server and expects of ours, on every socket, the frames that the
 * real one sent. `token(note, conn)` stands in for each `<jwt>`; `actions` are `[t_ms or note, work]`, done when the
 * recording gets there; `skip` are sockets left out. A presence_diff may come before or after the reply to the call that
 * made it: the recordings have both.
 */
export async function replay(events, { stack, token, key = () => stack.apiKey, actions = [], skip = [] }) {
  const peers = new Map()
  const todo = actions.filter(([when]) => typeof when === 'number').sort(([a], [b]) => a - b)
  const onNote = new Map(actions.filter(([when]) => typeof when === 'string'))
  let note = ''
  let frames = 0
  try {
    for (const event of events) {
      while (todo.length > 0 && todo[0][0] < event.t_ms) await todo.shift()[1]()
      if (event.dir === 'note') {
        note = event.note
        await onNote.get(note)?.()
        continue
      }
      if (skip.includes(event.conn)) continue
      const where = `${event.t_ms} ms, socket ${event.conn}, after "${note}"`
      const peer = peers.get(event.conn)
      if (event.dir === 'connect') {
        const url = new URL(event.url)
        const parameters = new URLSearchParams(url.search)
        if (parameters.get('apikey')) parameters.set('apikey', await key(note, event.conn))
        peers.set(event.conn, new Peer(`${stack.url.replace('http', 'ws')}/realtime/v1/websocket?${parameters}`))
      } else if (event.dir === 'open') {
        await peer.opened
      } else if (event.dir === 'http') {
        assert.deepEqual(await peer.refused, { status: event.status, body: event.body }, where)
      } else if (event.dir === 'send') {
        const data = event.data?.includes('<jwt>') ? event.data.replaceAll('<jwt>', await token(note, event.conn)) : event.data
        peer.send(data ?? Buffer.from(event.binary_b64, 'base64'))
      } else if (event.dir === 'recv') {
        const wanted = event.data === undefined ? comparable(Buffer.from(event.binary_b64, 'base64'), true) : comparable(event.data, false)
        const isDiff = (frame) => eventOf(frame) === 'presence_diff'
        assert.deepEqual(await peer.next((frame) => isDiff(frame) === isDiff(wanted)), wanted, where)
        frames += 1
      } else if (event.dir === 'close' && event.code === 1005) {
        assert.deepEqual(peer.unread, [], `${where}: nothing more`)
        peer.close()
        await peer.closed
      } else if (event.dir === 'close' && event.code !== 1006) {
        assert.equal(await peer.closed, event.code, where)
      }
    }
    for (const [conn, peer] of peers) assert.deepEqual(peer.unread, [], `socket ${conn}: nothing more`)
    return frames
  } finally {
    for (const peer of peers.values()) peer.ws.terminate()
  }
}
