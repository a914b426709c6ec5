// Chromium over CDP, and nothing between: Playwright would keep every page focused, and none could be frozen.
import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Rpc } from './rpc.mjs'
import { start } from './process.mjs'
import { until } from '../../e2e/support/until.mjs'

const FLAGS = [
  ...(process.getuid?.() === 0 ? ['--no-sandbox'] : []),
  '--headless=new', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync', '--disable-breakpad', '--remote-debugging-port=0',
]

export const CANNOT = {}

class Tab {
  constructor(rpc, targetId, sessionId) {
    this.targetId = targetId
    this.sessionId = sessionId
    this.call = (method, params) => rpc.call(method, params, { sessionId })
    this.browser = rpc
  }

  close() {
    return this.browser.call('Target.closeTarget', { targetId: this.targetId })
  }

  reload() {
    return this.call('Page.reload')
  }

  show() {
    return this.browser.call('Target.activateTarget', { targetId: this.targetId })
  }

  /** The process behind the page ends as if it had been killed: it runs no more of the page's code. */
  crash() {
    // Who is gone cannot answer.
    this.call('Page.crash').catch(() => {})
  }

  freeze() {
    return this.call('Page.setWebLifecycleState', { state: 'frozen' })
  }

  thaw() {
    return this.call('Page.setWebLifecycleState', { state: 'active' })
  }
}

export async function launch({ executable, profile }) {
  const portFile = join(profile, 'DevToolsActivePort')
  await rm(portFile, { force: true })
  const child = start(executable, [...FLAGS, `--user-data-dir=${profile}`, 'about:blank'], { profile })
  try {
    const [port, path] = await until('Chromium tells its address', async () => {
      child.check()
      const lines = (await readFile(portFile, 'utf8').catch(() => '')).split('\n')
      return lines.length > 1 && lines
    }, 60)
    const rpc = await Rpc.connect(`ws://127.0.0.1:${port}${path}`)
    return {
      kill: () => child.kill(),
      async open(url) {
        const { targetId } = await rpc.call('Target.createTarget', { url: 'about:blank' })
        const { sessionId } = await rpc.call('Target.attachToTarget', { targetId, flatten: true })
        const tab = new Tab(rpc, targetId, sessionId)
        await tab.call('Page.navigate', { url })
        return tab
      },
    }
  } catch (error) {
    await child.kill()
    throw error
  }
}
