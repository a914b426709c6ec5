// A bare page with the built package on it, for what the demo's pages do not show: codes, phases, events.
import assert from 'node:assert/strict'
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { createServer } from 'node:http'
import { extname, join, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'
import { until } from './until.mjs'

const here = fileURLToPath(new URL('.', import.meta.url))
const pkg = fileURLToPath(new URL('../../../pkg/', import.meta.url))

const TYPES = { '.js': 'text/javascript', '.wasm': 'application/wasm', '.html': 'text/html; charset=utf-8' }
const PAGES = { '/': 'harness.html', '/harness.js': 'harness.js' }

/** Serves the page and the package; `put` adds a file. */
export async function startHarness() {
  const added = new Map()
  const server = createServer(async ({ url }, response) => {
    const path = normalize(new URL(url, 'http://localhost').pathname)
    if (added.has(path)) return response.writeHead(200, { 'content-type': TYPES[extname(path)] }).end(added.get(path))
    const file = path.startsWith('/pkg/') ? join(pkg, path.slice('/pkg/'.length)) : PAGES[path] && join(here, PAGES[path])
    const found = file && (await stat(file).catch(() => null))
    if (!found) return response.writeHead(404).end()
    response.writeHead(200, { 'content-type': TYPES[extname(file)] ?? 'text/plain' })
    createReadStream(file).pipe(response)
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${server.address().port}/`,
    put: (path, body) => added.set(path, body),
    stop() {
      server.close()
      server.closeAllConnections()
    },
  }
}

const claimsOf = (authorization) => JSON.parse(Buffer.from(authorization.split('.')[1], 'base64url').toString())

/**
 * Opens a client of this user in a tab of the context. `token` gives its access token, `options` go to
 * `createChatClient`, `before` gets the page before anything is loaded into it.
 */
export async function openChat(world, context, { user, conversation, token, options = {}, before = async () => {} }) {
  const page = await context.newPage()
  const chat = new Chat(page)
  await page.exposeFunction('nextToken', token ?? (() => world.tokenFor(user.id)))
  await before(page)
  await page.goto(world.harness.url)
  await page.evaluate((options) => window.start(options), {
    url: world.stack.url, apiKey: world.apiKey, conversation, options,
  })
  return chat
}

export class Chat {
  /** What no code of the page caught. */
  exceptions = []
  /** Everything the console said. */
  console = []
  /** The messages and the user of each request to `chat_send`, as the browser sent it. */
  sends = []

  constructor(page) {
    this.page = page
    page.on('pageerror', (error) => this.exceptions.push(error.message))
    page.on('console', (line) => this.console.push(line.text()))
    page.on('request', (request) => {
      if (request.method() !== 'POST' || !request.url().endsWith('/rpc/chat_send')) return
      const { batch } = request.postDataJSON()
      this.sends.push({ user: claimsOf(request.headers().authorization).sub, texts: batch.map(({ content }) => content) })
    })
  }

  /** Resolves with `{message}` once it is persisted, or with `{error: {isChatError, code, retryable}}`. */
  send(text, conversation) {
    return this.page.evaluate(([text, conversation]) => window.outcome(window.send(text, conversation).persisted), [text, conversation])
  }

  /** The same, once it is on the server or refused. */
  sendAndWait(text, conversation) {
    return this.page.evaluate(([text, conversation]) => window.outcome(window.send(text, conversation).sent), [text, conversation])
  }

  /** The conversation as the app sees it: messages, pendingCount, sync. */
  view() {
    return this.page.evaluate(() => window.view())
  }

  async texts() {
    return (await this.view()).messages.map(({ content }) => content)
  }

  /** Waits until there are as many messages, and checks that they are these, in this order. */
  async untilTexts(expected) {
    await until(`${expected.length} messages are there`, async () => (await this.texts()).length >= expected.length)
    assert.deepEqual(await this.texts(), expected)
  }

  status() {
    return this.page.evaluate(() => window.client.getConnectionStatus())
  }

  /** What the client's events told so far: `{connection, delivery, errors}`. */
  events() {
    return this.page.evaluate(() => window.events)
  }

  /** Waits until all these messages have one of these states. */
  async untilAre(texts, states, seconds = 20) {
    await this.page.waitForFunction(([texts, states]) => {
      const { messages } = window.view()
      return texts.every((text) => messages.some((message) => message.content === text && states.includes(message.delivery_status)))
    }, [texts, states], { timeout: seconds * 1000 })
  }

  untilConnected() {
    return this.page.waitForFunction(() => window.client.getConnectionStatus() === 'connected', null, { timeout: 20_000 })
  }
}

/** On the server, whether or not somebody has it yet. */
export const STORED = ['sent', 'delivered', 'read']
