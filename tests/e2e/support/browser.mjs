// Headless Chromium: one that Playwright starts, and one whose process can be killed.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { chromium as playwright } from 'playwright-core'
import { until } from './until.mjs'

const FLAGS = [
  ...(process.getuid?.() === 0 ? ['--no-sandbox'] : []),
  '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync',
]

export const launch = (executablePath) => playwright.launch({ executablePath, args: FLAGS })

/** A browser on a profile of its own: `{context, kill()}`, where `kill` takes all of it down at once. */
export async function launchOnProfile(executablePath, profile) {
  const portFile = join(profile, 'DevToolsActivePort')
  await rm(portFile, { force: true })
  const child = spawn(executablePath, [...FLAGS, '--headless=new', '--remote-debugging-port=0', `--user-data-dir=${profile}`, 'about:blank'], {
    stdio: 'ignore',
  })
  const exited = once(child, 'exit')
  const [port, path] = await until('the browser tells its address', async () => {
    const lines = (await readFile(portFile, 'utf8').catch(() => '')).split('\n')
    return lines.length > 1 && lines
  })
  const browser = await playwright.connectOverCDP(`ws://127.0.0.1:${port}${path}`)
  return {
    context: browser.contexts()[0],
    async kill() {
      child.kill('SIGKILL')
      await exited
      await browser.close()
    },
  }
}
