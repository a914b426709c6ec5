// The harness page in a Chromium without Playwright, which would keep every page focused, so that none could be frozen,
// and starts it without the back/forward cache.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { launch } from '../../chaos/support/chromium.mjs'
import { chromium } from '../../../scripts/setup.mjs'
import { until } from './until.mjs'

/** Answers `{open({user, conversation}), stop()}`. */
export async function launchBare(world) {
  const profile = await mkdtemp(join(tmpdir(), 'surechat-bare-'))
  const browser = await launch({ executable: chromium(), profile })
  return {
    async open({ user, conversation }) {
      const page = new BarePage(await browser.open(world.harness.url))
      await page.tab.call('Network.enable')
      await until('the page is loaded', () => page.evaluate(() => typeof window.start === 'function'))
      const token = await world.tokenFor(user.id)
      const { apiKey, stack: { url } } = world
      await page.evaluate(({ token, ...options }) => {
        window.nextToken = () => token
        window.start(options)
      }, { token, url, apiKey, conversation })
      await page.untilConnected()
      return page
    },
    async stop() {
      await browser.kill()
      await rm(profile, { recursive: true, force: true })
    },
  }
}

class BarePage {
  /** The requests for the database, by their function's name. */
  requests = []

  constructor(tab) {
    this.tab = tab
    tab.browser.socket.on('message', (data) => {
      const { method, params, sessionId } = JSON.parse(data.toString())
      if (method !== 'Network.requestWillBeSent' || sessionId !== tab.sessionId) return
      const { method: verb, url } = params.request
      if (verb === 'POST' && url.includes('/rest/v1/rpc/')) this.requests.push(url.split('/').at(-1))
    })
  }

  async evaluate(work, argument) {
    const expression = `(${work})(${JSON.stringify(argument) ?? ''})`
    const { result, exceptionDetails } = await this.tab.call('Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true })
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text)
    return result.value
  }

  untilConnected() {
    return until('it is connected', () => this.evaluate(() => window.client.getConnectionStatus() === 'connected'))
  }

  /** Leaves for another page, and answers a function that goes back. */
  async leave() {
    const { entries, currentIndex } = await this.tab.call('Page.getNavigationHistory')
    await this.tab.call('Page.navigate', { url: 'data:text/html,elsewhere' })
    return () => this.tab.call('Page.navigateToHistoryEntry', { entryId: entries[currentIndex].id })
  }

  texts() {
    return this.evaluate(() => window.view().messages.map(({ content }) => content))
  }
}
