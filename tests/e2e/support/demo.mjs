// People at the demo's pages: the operator's dashboard and the client's chat.
import assert from 'node:assert/strict'
import { until } from './until.mjs'

/** Runs in a page before its own code: notes every state that is shown, as it comes. */
function observe() {
  const seen = { connection: [], messages: {} }
  window.seen = seen
  let status
  let banner = false
  const note = (list, value) => value && value !== list.at(-1) && list.push(value)
  const look = () => {
    for (const message of document.querySelectorAll('.message')) {
      const content = message.querySelector('.content')
      if (!content) continue
      const states = (seen.messages[content.textContent] ??= [])
      note(states, message.querySelector('.surechat-delivery [role=img]')?.getAttribute('aria-label'))
    }
    const before = { status, banner }
    status = document.querySelector('.surechat-connection')?.dataset.status
    banner = document.querySelector('.surechat-banner-offline') !== null
    if (status && status !== before.status) seen.connection.push(status)
    if (banner && !before.banner) seen.connection.push('banner')
  }
  new MutationObserver(look).observe(document, { subtree: true, childList: true, attributes: true })
}

/** Runs in a page before its own code: the tab is in the background until `show` says otherwise. */
function hide() {
  let state = 'hidden'
  Object.defineProperty(document, 'visibilityState', { get: () => state })
  Object.defineProperty(document, 'hidden', { get: () => state === 'hidden' })
  window.show = () => {
    state = 'visible'
    document.dispatchEvent(new Event('visibilitychange', { bubbles: true }))
  }
}

/** Opens the page of a role at a booking and answers the person in front of it. */
export async function openDemo({ demo }, context, role, { booking, resume = true, background = false, before = async () => {} }) {
  const page = await context.newPage()
  const exceptions = []
  page.on('pageerror', (error) => exceptions.push(error.message))
  await page.addInitScript(observe)
  if (background) await page.addInitScript(hide)
  await before(page)
  await page.goto(`${demo.url}/${role}?booking=${booking}${resume ? '' : '&resume=0'}`)
  return new Person(page, exceptions)
}

export class Person {
  constructor(page, exceptions) {
    this.page = page
    /** What no code of the page caught. */
    this.exceptions = exceptions
    this.composer = page.getByRole('textbox', { name: 'Message', exact: true })
    this.log = page.getByRole('log')
    this.badge = page.locator('.surechat-connection')
    this.offlineBanner = page.locator('.surechat-banner-offline')
  }

  async write(text) {
    await this.composer.fill(text)
    await this.composer.press('Enter')
  }

  message(text) {
    return this.page.locator('.message').filter({ has: this.page.locator('.content').getByText(text, { exact: true }) })
  }

  retryButtonOf(text) {
    return this.message(text).getByRole('button', { name: 'Retry' })
  }

  /** Waits until the message's indicator says this. */
  untilShown(text, status) {
    const shown = this.message(text).locator(`.surechat-delivery[data-status='${status}']`)
    return shown.waitFor({ timeout: 20_000 })
  }

  untilConnection(status) {
    return this.page.locator(`.surechat-connection[data-status='${status}']`).waitFor({ timeout: 30_000 })
  }

  /** The words of the message's indicator, in the order in which they were shown. */
  statesOf(text) {
    return this.page.evaluate((text) => window.seen.messages[text] ?? [], text)
  }

  /** The states of the badge, and `banner` when the offline banner came, in the order in which they were shown. */
  connectionStates() {
    return this.page.evaluate(() => window.seen.connection)
  }

  forgetConnectionStates() {
    return this.page.evaluate(() => (window.seen.connection = []))
  }

  /** The texts on the screen, from top to bottom. */
  texts() {
    return this.page.locator('.message .content').allTextContents()
  }

  /** Waits until as many are shown, and checks that they are these, in this order. */
  async untilTexts(expected, seconds) {
    await until(`the screen shows ${expected.length} messages`, async () => (await this.texts()).length >= expected.length, seconds)
    assert.deepEqual(await this.texts(), expected)
  }
}
