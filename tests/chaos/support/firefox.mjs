// Firefox over WebDriver BiDi, which it speaks by itself.
import { readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Rpc } from './rpc.mjs'
import { start } from './process.mjs'
import { until } from '../../e2e/support/until.mjs'

const PREFS = {
  'app.normandy.enabled': false,
  'app.update.enabled': false,
  'browser.aboutwelcome.enabled': false,
  'browser.sessionstore.resume_from_crash': false,
  'browser.shell.checkDefaultBrowser': false,
  'browser.startup.page': 0,
  'datareporting.policy.dataSubmissionEnabled': false,
  // One process for each tab, so that one of them can die.
  'dom.ipc.processCount.webIsolated': 16,
  'extensions.systemAddon.update.enabled': false,
  'messaging-system.rsexperimentloader.enabled': false,
  'network.captive-portal-service.enabled': false,
  'network.connectivity-service.enabled': false,
  'services.settings.server': 'http://127.0.0.1:2/',
  'toolkit.startup.max_resumed_crashes': -1,
}

/** What its drivers have no command for. */
export const CANNOT = {
  freeze: 'no command of WebDriver BiDi or Marionette freezes a page; see `stuck leader`, where its main thread is blocked',
}

/** The processes that run pages of the web, of all in this group; Linux alone tells of them. */
async function contentProcesses(group) {
  const all = await Promise.all((await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(async (pid) => {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
    const [, name, rest] = /\((.*)\) (.*)/.exec(stat) ?? [null, '', '']
    return { pid: Number(pid), name, group: Number(rest.split(' ')[2]) }
  }))
  return all.filter((each) => each.group === group && each.name.startsWith('Isolated Web')).map(({ pid }) => pid)
}

class Tab {
  constructor(rpc, context, pids) {
    this.rpc = rpc
    this.context = context
    this.pids = pids
  }

  close() {
    return this.rpc.call('browsingContext.close', { context: this.context, promptUnload: false })
  }

  reload() {
    return this.rpc.call('browsingContext.reload', { context: this.context, wait: 'none' })
  }

  show() {
    return this.rpc.call('browsingContext.activate', { context: this.context })
  }

  /** SIGKILL of one process after the other, until the one of this page is hit: `isGone` tells. */
  async crash(isGone) {
    for (const pid of (await this.pids()).reverse()) {
      if (isGone()) return
      try {
        process.kill(pid, 'SIGKILL')
      } catch {
        continue
      }
      for (let waited = 0; waited < 300 && !isGone(); waited += 20) await sleep(20)
    }
    if (!isGone()) throw new Error('no process of Firefox could be found behind the page')
  }
}

export async function launch({ executable, profile }) {
  await writeFile(join(profile, 'user.js'), Object.entries(PREFS).map(([name, value]) => `user_pref("${name}", ${JSON.stringify(value)});\n`).join(''))
  const addressFile = join(profile, 'WebDriverBiDiServer.json')
  await rm(addressFile, { force: true })
  const child = start(executable, ['--headless', '--no-remote', '--profile', profile, '--remote-debugging-port=0', 'about:blank'], {
    profile, env: { ...process.env, MOZ_CRASHREPORTER_DISABLE: '1' },
  })
  try {
    const { ws_port: port } = await until('Firefox tells its address', async () => {
      child.check()
      return JSON.parse(await readFile(addressFile, 'utf8').catch(() => 'null'))
    }, 60)
    const rpc = await Rpc.connect(`ws://127.0.0.1:${port}/session`)
    await rpc.call('session.new', { capabilities: {} })
    return {
      kill: () => child.kill(),
      async open(url) {
        // A tab that is closed at this very moment may take the new one along.
        const create = () => rpc.call('browsingContext.create', { type: 'tab' })
        const { context } = await create().catch((error) => {
          if (!error.message.includes('DiscardedBrowsingContextError')) throw error
          return create()
        })
        await rpc.call('browsingContext.navigate', { context, url, wait: 'none' })
        return new Tab(rpc, context, () => contentProcesses(child.pid))
      },
    }
  } catch (error) {
    await child.kill()
    throw error
  }
}
