// One run of a scenario: a client who watches and sometimes answers, and an operator whose browser has a hard time.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { seeded } from '../../../dev/stack/random.mjs'
import { addBooking } from '../../e2e/support/world.mjs'
import { PageGone } from './bridge.mjs'
import { Ledger, wrongViews } from './ledger.mjs'

const CONVERSATIONS = 3
const LATENCY_MS = 20
const NEWEST = 50
/** How long a run may take beyond its outage; the quick one shares its machine with whatever else runs there. */
const SPARE_SECONDS = 15
const QUICK_SPARE_SECONDS = 30
/** How long it is watched beyond that, to tell late from never. */
const PATIENCE_SECONDS = 45
const ANSWER_SECONDS = 10
/** The engine asks anew after a minute at most where no event told it anything. */
const VIEW_SECONDS = 75
const LOOK_MS = 250

const now = () => performance.now()

/** A tab with the page in it, which is another one after a reload. */
class Sender {
  #loads = 0

  constructor(name, tab) {
    this.name = name
    this.tab = tab
  }

  loaded(page) {
    this.page = page
    this.life = `${this.name} ${++this.#loads}`
  }

  get isAlive() {
    return this.page?.alive === true
  }
}

export class Run {
  #closing = []
  #written = 0
  #goal = 0
  #down = 0
  #begun = null
  #names = 0

  constructor({ stack, bridge, launch, executable, quick, count, seed, watcher }) {
    Object.assign(this, { stack, bridge, count, seed })
    this.spareSeconds = quick ? QUICK_SPARE_SECONDS : SPARE_SECONDS
    this.launchBrowser = async () => launch({ executable, profile: this.profile })
    this.random = seeded(seed)
    this.ledger = new Ledger()
    this.watchers = watcher
    this.senders = []
    this.tokenSeconds = 3600
  }

  // The world -------------------------------------------------------------------------------------------------------

  async start() {
    this.conversations = []
    for (let index = 0; index < CONVERSATIONS; index++) this.conversations.push(await addBooking(this.stack, `Chaos ${index + 1}`))
    this.bridge.conversations = this.conversations
    this.bridge.tokenSeconds = () => this.tokenSeconds
    this.profile = await mkdtemp(join(tmpdir(), 'surechat-chaos-'))
    this.#closing.push(() => rm(this.profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 }))
    this.stack.faults.add({ kind: 'delay', match: 'all', ms: LATENCY_MS })
    this.watcher = await this.#load(this.watchers, 'client')
    this.#closing.push(() => this.watcher.tab.close().catch(() => {}))
    await this.launch()
    this.#looking = this.#look()
  }

  /** Why not all was done in the end, in words. */
  unsettled = null
  #looking
  #isOver = false
  rows = []

  async stop() {
    this.#isOver = true
    this.bridge.release()
    await this.#looking
    this.stack.faults.clear()
    await this.browser?.kill()
    while (this.#closing.length > 0) await this.#closing.pop()()
  }

  async launch() {
    this.browser = await this.launchBrowser()
  }

  fault(options) {
    const seed = Math.floor(this.random() * 2 ** 32)
    const { id } = this.stack.faults.add({ seed, ...options })
    return () => this.stack.faults.remove(id)
  }

  /** While `work` runs nobody can send, or nobody writes because we are busy with tabs: that time is granted. */
  async outage(work) {
    const start = now()
    await work()
    if (this.#begun !== null) this.#down += now() - start
  }

  /** Database and pages, four times a second. */
  async #look() {
    while (!this.#isOver) {
      const at = now()
      this.rows = await this.#query()
      this.ledger.looked(this.rows, at)
      await sleep(LOOK_MS)
    }
  }

  #query() {
    return this.stack.sql`
      select id, conversation_id as conversation, sender_id as sender, content as text from public.chat_messages
      where conversation_id in ${this.stack.sql(this.conversations)} and kind = 'message' order by conversation_id, seq`
  }

  // Pages -----------------------------------------------------------------------------------------------------------

  async #load(browser, role, sender = null) {
    const { id: user } = this.stack.users[role]
    const name = sender?.name ?? `${role}-${++this.#names}`
    const onEvent = (event) => {
      if (event.accepted) this.ledger.accepted(event.accepted, now())
      else if (event.rejected) this.ledger.rejected(event.rejected, event.code)
      else if (event.sent) this.ledger.reportedAsSent(event.sent, now())
    }
    const loaded = sender ?? new Sender(name)
    loaded.user = user
    loaded.loaded(await this.bridge.next(name, onEvent, async () => {
      if (sender) await sender.tab.reload()
      else loaded.tab = await browser.open(this.bridge.address(name, user))
    }))
    return loaded
  }

  /** Another tab of the operator. */
  async open() {
    const sender = await this.#load(this.browser, 'operator')
    this.senders.push(sender)
    return sender
  }

  reload(sender) {
    return this.#load(this.browser, 'operator', sender)
  }

  async untilConnected(senders = this.alive) {
    for (const sender of senders) {
      await this.#until(30, async () => (await sender.page.call('state')).connection === 'connected', `${sender.name} is connected`)
    }
  }

  get alive() {
    return this.senders.filter((sender) => sender.isAlive)
  }

  any(list = this.alive) {
    return list[Math.floor(this.random() * list.length)]
  }

  async crash(sender) {
    await sender.tab.crash(() => !sender.isAlive)
    await this.#until(10, () => !sender.isAlive, 'the page is gone')
  }

  async close(sender) {
    await sender.tab.close()
    await this.#until(10, () => !sender.isAlive, 'the page is closed')
  }

  async kill() {
    await this.browser.kill()
    await this.#until(10, () => this.alive.length === 0, 'the browser is gone')
    this.senders = []
  }

  // Writing ---------------------------------------------------------------------------------------------------------

  get progress() {
    return this.#written / this.count
  }

  /** Writes one after the other, in bursts and slowly, until as many are written; `from` picks who writes. */
  async write({ upTo = 1, from = () => this.any(), during = async () => {} } = {}) {
    this.#begun ??= now()
    this.#goal = Math.ceil(this.count * upTo)
    while (this.#written < this.#goal) {
      const isBurst = this.random() < 0.3
      const left = this.#goal - this.#written
      const size = Math.min(left, isBurst ? 5 + Math.floor(this.random() * 36) : 1)
      const sender = this.random() < 0.2 ? this.watcher : from()
      await this.#writeBatch(sender, size)
      await sleep(isBurst ? this.random() * 200 : 5 + this.random() * 25)
      await during()
    }
  }

  async #writeBatch(sender, size) {
    const messages = Array.from({ length: size }, () => ({
      text: `message ${++this.#written}`,
      conversation: this.conversations[Math.floor(this.random() * this.conversations.length)],
    }))
    this.ledger.wrote({ page: sender.life, sender: sender.user, messages, at: now() })
    await sender.page.call('write', messages).catch((error) => {
      if (!(error instanceof PageGone)) throw error
    })
  }

  // The end ---------------------------------------------------------------------------------------------------------

  /** What is written while a page dies may never have been accepted: as many are written anew. */
  async complete(senders = this.alive) {
    const pages = [...senders, this.watcher]
    await this.#until(ANSWER_SECONDS, () => pages.every(({ isAlive, life }) => !isAlive || this.ledger.hasAnswered(life)))
    const missing = this.#goal - this.ledger.acceptedCount
    if (missing > 0) await this.#writeBatch(this.any(senders), missing)
  }

  /** Waits until all is stored and no outbox holds anything, in time or a while later; after that it says why not. */
  async settle(senders = () => this.alive) {
    const pages = () => [...senders(), this.watcher]
    const settled = await this.#until(this.#limit + PATIENCE_SECONDS - this.#elapsed, async () => {
      if (this.ledger.acceptedCount < this.#goal || !this.ledger.isStored(this.rows)) return false
      const states = await Promise.all(pages().map(({ page }) => page.call('state').catch(() => ({ pending: 1 }))))
      return states.every(({ pending }) => pending === 0)
    })
    this.seconds = this.#elapsed
    if (settled) return
    const stored = this.ledger.isStored(this.rows) ? 'all is stored' : 'not all is stored'
    const reasons = await Promise.all(pages().map(async ({ name, page }) => {
      const unsent = await page.call('unsent').catch(({ message }) => message)
      return `${name}: ${JSON.stringify(unsent)}`
    }))
    this.unsettled = [stored, ...reasons].join('; ')
  }

  get #elapsed() {
    return (now() - this.#begun) / 1000
  }

  get #limit() {
    return this.#down / 1000 + this.spareSeconds
  }

  async #until(seconds, check, what) {
    const end = now() + seconds * 1000
    for (;;) {
      if (await check()) return true
      if (now() > end) {
        if (what) throw new Error(`gave up after ${seconds} s: ${what}`)
        return false
      }
      await sleep(50)
    }
  }

  async #views() {
    const rows = await this.#query()
    const views = []
    const wrong = []
    for (const sender of [...this.alive, this.watcher]) {
      const view = await sender.page.call('views')
      views.push(view)
      const found = wrongViews(rows, view, { whole: sender === this.watcher, least: NEWEST })
      wrong.push(...found.map((text) => `${sender.name}: ${text}`))
    }
    return { rows, views, wrong }
  }

  async verdict() {
    let last
    await this.#until(VIEW_SECONDS, async () => {
      last = await this.#views()
      return last.wrong.length === 0
    })
    return {
      ...this.ledger.verdict(last.rows, last.views),
      views: last.wrong.length,
      wrongViews: last.wrong,
      unsettled: this.unsettled,
      seconds: this.seconds,
      limit: this.#limit,
      requests: Object.values(this.stack.faults.list().requests).reduce((sum, count) => sum + count, 0),
    }
  }
}
