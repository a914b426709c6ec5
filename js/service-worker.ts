// For the app's own service worker: after the last tab, what is unsent goes out when the browser says so.
import { readToken, tagOf } from './background-sync.js'
import type { Core, CoreConfig, CoreHost } from './core.js'
import { load } from './loader.js'
import { toConfig } from './options.js'
import type { ChatClientOptions, WasmSource } from './types.js'
// A service worker may not import at run time.
import * as glue from './wasm/surechat.js'

/** As the page's client has them. */
export type DrainOptions = Pick<ChatClientOptions, 'url' | 'apiKey' | 'senderRole' | 'requestTimeoutMs' | 'source' | 'wasm'>

/** Background Sync, which TypeScript does not know. */
interface SyncEvent extends Event {
  readonly tag: string
  waitUntil(promise: Promise<unknown>): void
}

const LIMIT_MS = 20_000

/**
 * Call it once at the top of the service worker. Nothing happens while a tab is open that sends, nor without the client's
 * option `backgroundSync`.
 */
export function drainOnSync(options: DrainOptions): void {
  const config: CoreConfig = { ...toConfig({ ...options, accessToken: () => null }), drain_only: true }
  addEventListener('sync', (event) => {
    const sync = event as SyncEvent
    if (sync.tag === tagOf(config.url)) sync.waitUntil(drain(config, options.wasm))
  })
}

/** Rejects when something is left, so that the browser wakes the worker again. */
async function drain(config: CoreConfig, wasm?: WasmSource): Promise<void> {
  const token = await readToken(config.url)
  if (token === null) return
  const { Core } = await load(wasm, async () => glue)
  const left = await drainWith((host) => new Core(config, host), token)
  if (left > 0) throw new Error(`unable to send ${left} messages now; because the server could not be reached or did not take them`)
}

function drainWith(createCore: (host: CoreHost) => Core, token: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const tokens = [token]
    let left: number | null = null
    let closing = false
    const close = () => {
      if (!closing) core.shutdown(1, false)
      closing = true
    }
    const limit = setTimeout(close, LIMIT_MS)
    const end = (answer: () => void) => {
      clearTimeout(limit)
      core.free()
      answer()
    }
    const core = createCore({
      // There is no fresh one to be had.
      accessToken: async () => tokens.pop() ?? null,
      onUpdates: (updates) => {
        for (const update of updates) {
          if (update.type === 'drained') {
            left = update.left
            close()
          } else if (update.type === 'done') {
            const { unsent } = update.result as { unsent: number }
            end(() => resolve(left ?? unsent))
          } else if (update.type === 'failed') end(() => reject(new Error(update.error.message)))
          else if (update.type === 'crashed') {
            clearTimeout(limit)
            reject(new Error('unable to go on; because the chat core crashed'))
          }
        }
      },
    })
    core.start()
  })
}
