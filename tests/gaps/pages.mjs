// Readers that are browsers with the package: cut off, offline, and loaded anew, again and again.
import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { startBridge } from '../chaos/support/bridge.mjs'
import { launch } from '../chaos/support/chromium.mjs'
import { broken, compare } from './count.mjs'

const SETTLE_MS = 60_000

class BrowserReader {
  loads = 0
  cuts = 0
  #ever = new Map()
  #wrong = { doubled: 0, disordered: 0 }

  constructor({ stack, bridge, user, browser, random }) {
    Object.assign(this, { stack, bridge, user, browser, random })
  }

  async open() {
    const name = `reader-${this.user.id}`
    await this.#load(name, async () => {
      this.tab = await this.browser.open(this.bridge.address(name, this.user.id))
    })
  }

  async #load(name, load) {
    this.page = await this.bridge.next(name, () => {}, load)
    this.loads++
  }

  async live(isOver) {
    const { faults } = this.stack
    for (let n = Math.floor(this.random() * 3); !isOver(); n++) {
      await sleep(300 + this.random() * 1500)
      if (n % 3 === 0) {
        faults.add({ kind: 'cut_sockets', user: this.user.id })
        this.cuts++
      } else if (n % 3 === 1) {
        const { id } = faults.add({ kind: 'offline', user: this.user.id })
        this.cuts++
        await sleep(300 + this.random() * 2000)
        faults.remove(id)
      } else {
        await this.#collect()
        await this.#load(`reader-${this.user.id}`, () => this.tab.reload())
      }
    }
  }

  async #collect() {
    const views = await this.page.call('views')
    for (const [id, { ever, doubled, disordered }] of Object.entries(views)) {
      const known = this.#ever.get(id) ?? new Set()
      for (const each of ever) known.add(each)
      this.#ever.set(id, known)
      this.#wrong.doubled += doubled
      this.#wrong.disordered += disordered
    }
    return views
  }

  /** Once the world is kind: does every view end where the database does? */
  async settle(stored) {
    const end = Date.now() + SETTLE_MS
    const began = performance.now()
    const isThere = async () => {
      const newest = await this.page.call('newest')
      return [...stored].every(([id, rows]) => newest[id] === (rows.at(-1) ?? null))
    }
    while (!(await isThere()) && Date.now() < end) await sleep(100)
    this.settledMs = performance.now() - began
  }

  /** What was never shown, shown twice, or shown out of order; `stored` is the database's order by conversation. */
  async verdict(stored) {
    const views = await this.#collect()
    const total = { missed: 0, doubled: this.#wrong.doubled, disordered: this.#wrong.disordered, unknown: 0 }
    for (const [id, rows] of stored) {
      const ever = this.#ever.get(id)
      total.missed += compare(rows, ever).missed
      total.unknown += [...ever].filter((each) => !rows.includes(each)).length
      total.disordered += broken(rows, views[id].shown)
    }
    return total
  }
}

/** Opens `count` pages, each in a browser of its own, and runs `work` with them. */
export async function withPages({ stack, executable, count, conversations, random, join: joinAll }, work) {
  const closing = []
  try {
    const users = Array.from({ length: count }, () => ({ id: randomUUID(), role: 'reader' }))
    await joinAll(users)
    const bridge = count > 0 && (await startBridge({
      config: () => ({ url: stack.url, apiKey: stack.apiKey, conversations }),
      token: (user) => stack.tokenFor(user),
      script: fileURLToPath(new URL('./page.js', import.meta.url)),
    }))
    if (bridge) closing.push(() => bridge.stop())
    const pages = []
    for (const user of users) {
      const profile = await mkdtemp(join(tmpdir(), 'surechat-gaps-'))
      closing.push(() => rm(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 }))
      const browser = await launch({ executable, profile })
      closing.push(() => browser.kill())
      const page = new BrowserReader({ stack, bridge, user, browser, random })
      await page.open()
      pages.push(page)
    }
    return await work(pages)
  } finally {
    while (closing.length > 0) await closing.pop()()
  }
}
