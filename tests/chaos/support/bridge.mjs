// Serves the page and the package, and talks with every page over a WebSocket: the same for every browser.
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { createServer } from 'node:http'
import { extname, join, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'
import { WebSocketServer } from 'ws'

const here = fileURLToPath(new URL('.', import.meta.url))
const pkg = fileURLToPath(new URL('../../../pkg/', import.meta.url))

const TYPES = { '.js': 'text/javascript', '.wasm': 'application/wasm', '.html': 'text/html; charset=utf-8' }
const ANSWER_MS = 10_000
const READY_MS = 60_000

/** One loaded page, until it is closed, reloaded, crashed or killed. */
class Page {
  #last = 0
  #waiting = new Map()

  constructor(socket, onEvent) {
    this.socket = socket
    this.alive = true
    this.ready = new Promise((resolve, reject) => Object.assign(this, { isReady: resolve, isGone: reject }))
    this.ready.catch(() => {})
    socket.on('message', (data) => {
      const message = JSON.parse(data.toString())
      if (message.ready) this.isReady()
      else if (message.call === undefined) onEvent(message)
      else this.#settle(message.call)?.resolve(message.result)
    })
    socket.on('error', () => {})
    socket.on('close', () => {
      this.alive = false
      this.isGone(new PageGone('the page is gone'))
      for (const id of [...this.#waiting.keys()]) this.#settle(id).reject(new PageGone())
    })
  }

  call(method, argument) {
    if (!this.alive) return Promise.reject(new PageGone())
    const call = ++this.#last
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.#settle(call)?.reject(new PageGone()), ANSWER_MS)
      this.#waiting.set(call, { resolve, reject, timer })
      this.socket.send(JSON.stringify({ call, method, argument }))
    })
  }

  /** Without waiting for anything. */
  tell(method, argument) {
    this.socket.send(JSON.stringify({ call: 0, method, argument }))
  }

  #settle(id) {
    const call = this.#waiting.get(id)
    this.#waiting.delete(id)
    clearTimeout(call?.timer)
    return call
  }
}

export class PageGone extends Error {}

/** `config()` is what a page gets, `token(user)` an access token; `script` is what runs in it. */
export async function startBridge({ config, token, script = join(here, 'page.js') }) {
  const files = { '/': join(here, 'page.html'), '/page.js': script }
  const expected = new Map()
  const hanging = new Set()
  const answer = (response, type, body) => response.writeHead(200, { 'content-type': type, 'cache-control': 'no-store' }).end(body)

  const server = createServer(async ({ url: target }, response) => {
    const url = new URL(target, 'http://localhost')
    const path = normalize(url.pathname)
    if (path === '/config') return answer(response, 'application/json', JSON.stringify(config()))
    if (path === '/token') return answer(response, 'text/plain', await token(url.searchParams.get('user')))
    if (path === '/hang') return hanging.add(response)
    const file = path.startsWith('/pkg/') ? join(pkg, path.slice('/pkg/'.length)) : files[path]
    if (!file || !(await stat(file).catch(() => null))) return response.writeHead(404).end()
    response.writeHead(200, { 'content-type': TYPES[extname(file)] ?? 'text/plain' })
    createReadStream(file).pipe(response)
  })
  const sockets = new WebSocketServer({ server })
  sockets.on('connection', (socket, { url }) => {
    const name = new URL(url, 'http://localhost').searchParams.get('page')
    const { onEvent, resolve } = expected.get(name)
    resolve(new Page(socket, onEvent))
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  const origin = `http://127.0.0.1:${server.address().port}`

  return {
    address: (name, user) => `${origin}/?name=${name}&user=${user}`,
    /** The next page that is loaded under this name, once its client has started. */
    async next(name, onEvent, load) {
      const loaded = new Promise((resolve, reject) => {
        expected.set(name, { onEvent, resolve })
        setTimeout(() => reject(new Error(`the page ${name} was not loaded in ${READY_MS} ms`)), READY_MS).unref()
      })
      await load()
      const page = await loaded
      let timer
      const late = new Promise((_, reject) => {
        timer = setTimeout(() => reject(new Error(`the client of ${name} did not start in ${READY_MS} ms`)), READY_MS)
      })
      await Promise.race([page.ready, late])
      clearTimeout(timer)
      return page
    },
    release() {
      for (const response of hanging) response.end()
      hanging.clear()
    },
    stop() {
      server.close()
      for (const socket of sockets.clients) socket.terminate()
      server.closeAllConnections()
    },
  }
}
