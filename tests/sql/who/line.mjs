// One connection to Realtime, with what it has heard.
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import WebSocket from 'ws'

const ANSWER_MS = 5000

function textOf(data, isBinary) {
  if (!isBinary) return data.toString()
  const [topic, event, meta] = data.subarray(1, 4)
  const text = (from, length) => data.subarray(from, from + length)
  return `${text(5, topic)} ${text(5 + topic, event)} ${data.subarray(5 + topic + event + meta)}`
}

export class Line {
  #replies = new Map()
  #ref = 0

  static async open(stack, key = stack.apiKey) {
    const line = new Line()
    line.frames = []
    line.socket = new WebSocket(`${stack.url.replace('http', 'ws')}/realtime/v1/websocket?apikey=${key}&vsn=2.0.0`)
    line.socket.on('message', (data, isBinary) => {
      line.frames.push(textOf(data, isBinary))
      if (isBinary) return
      const [, ref, , event, payload] = JSON.parse(data.toString())
      if (event === 'phx_reply') line.#replies.get(ref)?.(payload)
    })
    await once(line.socket, 'open')
    return line
  }

  /** The reply's `{status, response}`, or null when there is none, as for a broadcast that a policy forbids. */
  async push(topic, event, payload, wait = ANSWER_MS) {
    const ref = String(++this.#ref)
    const reply = new Promise((resolve) => this.#replies.set(ref, resolve))
    if (event === 'phx_join') this.joined = ref
    this.socket.send(JSON.stringify([this.joined, ref, `realtime:${topic}`, event, payload]))
    return Promise.race([reply, sleep(wait, null)])
  }

  join(topic, { token, changes = [], isPrivate = true, presence = false } = {}) {
    const config = {
      private: isPrivate, broadcast: { ack: true }, presence: { enabled: presence, key: '' }, postgres_changes: changes,
    }
    return this.push(topic, 'phx_join', { config, ...(token && { access_token: token }) })
  }

  heard(text) {
    return this.frames.some((frame) => frame.includes(text))
  }

  /** Is it heard within this time? */
  async hears(text, ms) {
    for (const end = Date.now() + ms; !this.heard(text) && Date.now() < end; ) await sleep(5)
    return this.heard(text)
  }

  async until(text) {
    if (!(await this.hears(text, ANSWER_MS))) throw new Error(`nothing with ${text} was heard`)
  }

  close() {
    this.socket.terminate()
  }
}
