import type { Core, CoreConfig, CoreHost } from './core.js'
import { ChatError } from './errors.js'
import type { WasmSource } from './types.js'

interface Glue {
  default(input: { module_or_path: WebAssembly.Module }): Promise<unknown>
  Core: new (config: CoreConfig, host: CoreHost) => Core
}

const LOAD_TIMEOUT_MS = 30_000

let loaded: Promise<Glue> | null = null

/** Only a load that worked is remembered: one start without a network must not be fatal until the page is reloaded. */
export function load(
  source?: WasmSource,
  importGlue: () => Promise<unknown> = () => import('./wasm/surechat.js'),
): Promise<Glue> {
  loaded ??= loadOnce(source, importGlue).catch((cause: unknown) => {
    loaded = null
    throw cause instanceof ChatError ? cause : unavailable(cause instanceof Error ? cause.message : String(cause), true, cause)
  })
  return loaded
}

async function loadOnce(source: WasmSource | undefined, importGlue: () => Promise<unknown>): Promise<Glue> {
  if (!('window' in globalThis || 'importScripts' in globalThis)) {
    throw unavailable('this is not a browser', false)
  }
  const [glue, module] = await Promise.all([
    importGlue() as Promise<Glue>,
    compile(source ?? new URL('./wasm/surechat_bg.wasm', import.meta.url)),
  ])
  await glue.default({ module_or_path: module })
  return glue
}

async function compile(source: WasmSource): Promise<WebAssembly.Module> {
  if (source instanceof WebAssembly.Module) return source
  if (source instanceof ArrayBuffer || ArrayBuffer.isView(source)) return WebAssembly.compile(source)
  const response = source instanceof Response ? source : await fetch(source, { signal: AbortSignal.timeout(LOAD_TIMEOUT_MS) })
  if (!response.ok) throw new Error(`${response.url} answered ${response.status}`)
  const type = response.headers.get('content-type')
  if (type === 'application/wasm') return WebAssembly.compileStreaming(response)
  // Streaming insists on the MIME type; many a static server does not know it.
  try {
    return await WebAssembly.compile(await response.arrayBuffer())
  } catch (cause) {
    throw new Error(`${response.url} is no WebAssembly module (its content type is ${type})`, { cause })
  }
}

function unavailable(reason: string, retryable: boolean, cause?: unknown): ChatError {
  return new ChatError('wasm_unavailable', `unable to load the chat core; because ${reason}`, { retryable, cause })
}
