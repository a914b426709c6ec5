import { Client } from '../../js/client.js'
import type { Core, CoreConfig, CoreHost, CoreUpdate } from '../../js/core.js'
import type { ChatClientOptions, ChatMessage, DeliveryStatus } from '../../js/types.js'

export const OPTIONS: ChatClientOptions = {
  url: 'https://project.supabase.co/',
  apiKey: 'key',
  accessToken: () => 'token',
}

type Method = Exclude<keyof Core, never>
export type CoreCall = [Method, ...unknown[]]

/** Records what it is asked and says what the test tells it to say. */
export class FakeCore implements Core {
  readonly calls: CoreCall[] = []
  crashOn: Method | null = null
  /** Answers by itself, as a core on a good day. */
  obliging = true

  constructor(readonly config: CoreConfig, readonly host: CoreHost) {}

  start() { this.#called('start') }
  open(id: string) { this.#called('open', id) }
  close(id: string) { this.#called('close', id) }
  list(on: boolean) { this.#called('list', on) }
  mark_read(id: string) { this.#called('mark_read', id) }
  typing(id: string, on: boolean) { this.#called('typing', id, on) }
  free() { this.#called('free') }

  send(op: number, conversation_id: string, content: string, message_type: string, metadata: unknown) {
    this.#called('send', conversation_id, content, message_type, metadata)
    if (!this.obliging) return
    const stored = message({
      id: `m${op}`, conversation_id, content, message_type, metadata: metadata as Record<string, unknown>, delivery_status: 'sending',
    })
    this.soon({ type: 'done', op, result: { message: stored } })
  }

  reload(op: number, id: string) {
    this.#called('reload', id)
    if (this.obliging) this.soon({ type: 'done', op, result: undefined })
  }

  load_older(op: number, id: string) {
    this.#called('load_older', id)
    if (this.obliging) this.soon({ type: 'done', op, result: { has_older: true } })
  }

  retry(op: number, id: string | undefined) {
    this.#called('retry', id)
    if (this.obliging) this.soon({ type: 'done', op, result: undefined })
  }

  cancel(op: number, id: string, message_id: string) { this.#act(op, 'cancel', id, message_id) }
  edit(op: number, id: string, message_id: string, content: string) { this.#act(op, 'edit', id, message_id, content) }
  discard(op: number, id: string, message_id: string) { this.#act(op, 'discard', id, message_id) }

  shutdown(op: number, discard: boolean) {
    this.#called('shutdown', discard)
    if (this.obliging) this.soon({ type: 'done', op, result: discard ? { unsent: 0, maybe_sent: 0 } : { unsent: 2, maybe_sent: 1 } })
  }

  names(): string[] {
    return this.calls.map(([name]) => name)
  }

  count(name: Method): number {
    return this.calls.filter((call) => call[0] === name).length
  }

  say(...updates: CoreUpdate[]): void {
    this.host.onUpdates(updates)
  }

  soon(...updates: CoreUpdate[]): void {
    queueMicrotask(() => this.say(...updates))
  }

  #act(op: number, ...call: CoreCall): void {
    this.#called(...call)
    if (this.obliging) this.soon({ type: 'done', op, result: {} })
  }

  #called(...call: CoreCall): void {
    if (this.crashOn === call[0]) throw new WebAssembly.RuntimeError('unreachable')
    this.calls.push(call)
  }
}

/** A client on fake cores; `cores` grows by one at each start. */
export function fakeClient(options: Partial<ChatClientOptions> = {}, prepare: (core: FakeCore) => void = () => {}) {
  const cores: FakeCore[] = []
  const client = new Client({ ...OPTIONS, ...options }, async (config, host) => {
    const core = new FakeCore(config, host)
    prepare(core)
    cores.push(core)
    return core
  })
  return { client, cores, core: () => cores.at(-1)! }
}

export async function startedClient(options: Partial<ChatClientOptions> = {}) {
  const fake = fakeClient(options)
  await fake.client.connect()
  return { ...fake, core: fake.core() }
}

export function message(part: Partial<ChatMessage> & { id: string }): ChatMessage {
  return {
    conversation_id: 'a', seq: null, sender_id: 'me', sender_role: 'operator', content: part.id, message_type: 'text',
    metadata: {}, created_at: '2026-01-01T00:00:00.000Z', edited_at: null, deleted_at: null, retry_count: 0, ...part,
  }
}

export function rows(conversation_id: string, ...items: [order: number, id: string, content?: string][]): CoreUpdate {
  return {
    type: 'messages', conversation_id, reset: false, removes: [],
    upserts: items.map(([order, id, content = id]) => ({ order, message: message({ id, conversation_id, content }) })),
  }
}

export function delivery(id: string, status: DeliveryStatus, more: { retryable?: boolean; retry_count?: number } = {}): CoreUpdate {
  const failure = status === 'failed'
    ? { code: more.retryable ? 'network' : 'forbidden', retryable: more.retryable ?? false, message: 'unable to send; because' }
    : null
  return { type: 'delivery', conversation_id: 'a', id, status, retry_count: more.retry_count ?? 0, failure }
}

/** Lets every promise that is ready run. */
export const settled = async () => {
  for (let i = 0; i < 20; i++) await null
}

/** The error a promise rejects with. */
export const failureOf = (promise: Promise<unknown>): Promise<any> => promise.then(
  () => { throw new Error('it did not reject') },
  (error: unknown) => error,
)
