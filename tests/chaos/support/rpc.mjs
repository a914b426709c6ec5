// Numbered requests over a WebSocket: what CDP and WebDriver BiDi have in common.
import { once } from 'node:events'
import WebSocket from 'ws'

const LIMIT_MS = 20_000

export class Rpc {
  #last = 0
  #waiting = new Map()

  static async connect(url) {
    const socket = new WebSocket(url, { maxPayload: 2 ** 28, perMessageDeflate: false })
    await once(socket, 'open')
    return new Rpc(socket)
  }

  constructor(socket) {
    this.socket = socket
    socket.on('message', (data) => this.#answered(JSON.parse(data.toString())))
    socket.on('error', () => {})
    socket.on('close', () => {
      for (const { reject } of this.#waiting.values()) reject(new Error('the browser is gone'))
      this.#waiting.clear()
    })
  }

  call(method, params = {}, more = {}) {
    const id = ++this.#last
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.#settle(id)?.reject(new Error(`${method}: no answer in ${LIMIT_MS} ms`)), LIMIT_MS)
      this.#waiting.set(id, { resolve, reject, timer, method })
      this.socket.send(JSON.stringify({ id, method, params, ...more }))
    })
  }

  #answered({ id, result, error, message }) {
    const call = this.#settle(id)
    if (error === undefined) call?.resolve(result)
    else call?.reject(new Error(`${call.method}: ${message ?? error.message}`))
  }

  #settle(id) {
    const call = this.#waiting.get(id)
    this.#waiting.delete(id)
    clearTimeout(call?.timer)
    return call
  }
}
