// Empty projects that install the packed package as a user would, and a browser to load what they build.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { extname, join, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'
import { chromium as playwright } from 'playwright-core'
import { chromium } from '../../scripts/setup.mjs'

const here = fileURLToPath(new URL('.', import.meta.url))
export const pkg = fileURLToPath(new URL('../../pkg', import.meta.url))

// What `npm test` itself was started with would point the npm of a temporary project at this repository.
const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.toLowerCase().startsWith('npm_')))

export const execute = (program, args, cwd, more = {}) =>
  execFileSync(program, args, { cwd, env: { ...env, ...more }, encoding: 'utf8', timeout: 300_000 })

export const temporaryFolder = () => mkdtempSync(join(tmpdir(), 'surechat-packaging-'))
export const remove = (folder) => folder && rmSync(folder, { recursive: true, force: true })

/** Packs pkg/ into `folder` and answers the tarball's path and the paths inside it. */
export function pack(folder) {
  const [{ filename, files }] = JSON.parse(execute('npm', ['pack', '--json', '--pack-destination', folder], pkg))
  return { tarball: join(folder, filename), files: files.map((file) => file.path) }
}

/** A project made of a template folder and client.js, with the packed package and these others installed from the registry. */
export function project(template, packages = {}) {
  const folder = temporaryFolder()
  const { tarball } = pack(folder)
  cpSync(join(here, template), folder, { recursive: true })
  cpSync(join(here, 'client.js'), join(folder, 'client.js'))
  const manifest = { name: 'empty', private: true, type: 'module', dependencies: { surechat: `file:${tarball}`, ...packages } }
  writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest))
  execute('npm', ['install', '--prefer-offline', '--no-audit', '--no-fund'], folder)
  return folder
}

export function filesUnder(folder) {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
}

const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.wasm': 'application/wasm' }

/** Serves the folder on loopback; `wasm` may change how the .wasm is answered. */
export async function serve(folder, { wasmType = TYPES['.wasm'] } = {}) {
  const server = createServer((request, response) => {
    const path = normalize(new URL(request.url, 'http://localhost').pathname)
    try {
      const body = readFileSync(join(folder, path.endsWith('/') ? `${path}index.html` : path))
      response.setHeader('Content-Type', path.endsWith('.wasm') ? wasmType : (TYPES[extname(path)] ?? 'text/html'))
      response.end(body)
    } catch {
      response.writeHead(404).end()
    }
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${server.address().port}/`,
    stop: () => new Promise((resolve) => {
      server.close(resolve)
      server.closeAllConnections()
    }),
  }
}

/** Opens the page and checks what client.js reports: the wasm runs, and a message is kept although no server answers. */
export async function assertWorks(url, { shows } = {}) {
  const browser = await playwright.launch({
    executablePath: chromium(),
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
  })
  try {
    const page = await browser.newPage()
    const exceptions = []
    const wasm = []
    page.on('pageerror', (error) => exceptions.push(String(error)))
    page.on('response', (response) => {
      if (response.url().includes('.wasm')) wasm.push(response.status())
    })
    const reported = page.waitForFunction(() => 'report' in window, null, { timeout: 30_000 })
    const failed = new Promise((resolve) => page.once('pageerror', resolve))
    await page.goto(url)
    await Promise.race([reported, failed])
    const report = await page.evaluate(() => window.report ?? {})
    assert.deepEqual(exceptions, [])
    assert.deepEqual([...new Set(wasm)], [200])
    assert.ok(['connecting', 'reconnecting', 'disconnected'].includes(report.status), report.status)
    assert.equal(report.durable, true)
    assert.equal(report.pending, 1)
    assert.equal(report.content, 'Hello')
    assert.equal(report.delivery_status, 'sending')
    if (shows) await page.getByText(shows).waitFor({ timeout: 10_000 })
  } finally {
    await browser.close()
  }
}
