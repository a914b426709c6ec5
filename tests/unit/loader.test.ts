import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import type { WasmSource } from '../../js/types.js'
import { failureOf } from './fake-core.js'

const BYTES = new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0])
const answer = (body: BodyInit, type: string, status = 200) => new Response(body, { status, headers: { 'content-type': type } })

const glue = { default: vi.fn(async () => {}), Core: class {} }
const importGlue = vi.fn(async (): Promise<unknown> => glue)
let load: typeof import('../../js/loader.js').load
let fetched: ReturnType<typeof vi.fn>

beforeEach(async () => {
  vi.resetModules()
  vi.clearAllMocks()
  load = (await import('../../js/loader.js')).load
  fetched = vi.fn(async () => answer(BYTES, 'application/wasm'))
  vi.stubGlobal('fetch', fetched)
})
afterEach(() => void vi.unstubAllGlobals())

it('loads the module that lies beside it, once', async () => {
  const [one, two] = await Promise.all([load(undefined, importGlue), load(undefined, importGlue)])
  expect(one).toBe(glue)
  expect(two).toBe(one)
  expect(fetched).toHaveBeenCalledTimes(1)
  expect(String(fetched.mock.calls[0]![0])).toMatch(/\/wasm\/surechat_bg\.wasm$/)
  expect(glue.default).toHaveBeenCalledExactlyOnceWith({ module_or_path: expect.any(WebAssembly.Module) })
})

it.each<[string, () => WasmSource, number]>([
  ['a string', () => 'https://cdn.test/x.wasm', 1],
  ['a URL', () => new URL('https://cdn.test/x.wasm'), 1],
  ['a Response', () => answer(BYTES, 'application/wasm'), 0],
  ['bytes', () => BYTES, 0],
  ['a buffer', () => BYTES.slice().buffer, 0],
  ['a module', () => new WebAssembly.Module(BYTES), 0],
])('takes %s in its place', async (_, source, requests) => {
  await load(source(), importGlue)
  expect(fetched).toHaveBeenCalledTimes(requests)
  if (requests) expect(String(fetched.mock.calls[0]![0])).toBe('https://cdn.test/x.wasm')
  expect(glue.default).toHaveBeenCalledTimes(1)
})

it.each(['application/octet-stream', 'application/wasm; charset=utf-8', ''])('does without streaming when the MIME type is "%s"', async (type) => {
  const streaming = vi.spyOn(WebAssembly, 'compileStreaming')
  fetched.mockResolvedValue(answer(BYTES, type))
  await load(undefined, importGlue)
  expect(streaming).not.toHaveBeenCalled()
  expect(glue.default).toHaveBeenCalledTimes(1)
})

it('does not remember a load that failed', async () => {
  fetched.mockRejectedValueOnce(new TypeError('Failed to fetch'))
  expect(await failureOf(load(undefined, importGlue))).toMatchObject({
    name: 'ChatError', code: 'wasm_unavailable', retryable: true, cause: { message: 'Failed to fetch' },
    message: 'unable to load the chat core; because Failed to fetch',
  })
  await expect(load(undefined, importGlue)).resolves.toBe(glue)

  vi.resetModules()
  load = (await import('../../js/loader.js')).load
  importGlue.mockRejectedValueOnce(new TypeError('error loading dynamically imported module'))
  expect(await failureOf(load(undefined, importGlue))).toMatchObject({ code: 'wasm_unavailable' })
  await expect(load(undefined, importGlue)).resolves.toBe(glue)
})

it.each([
  ['a missing file', () => answer('not found', 'text/plain', 404), 'answered 404'],
  ['a page in place of the file', () => answer('<!doctype html>', 'text/html'), 'is no WebAssembly module (its content type is text/html)'],
])('names %s', async (_, response, words) => {
  fetched.mockResolvedValue(response())
  const error = await failureOf(load(undefined, importGlue))
  expect(error.code).toBe('wasm_unavailable')
  expect(error.message).toContain(words)
})
