import type { CoreTable } from './source.js'
import type {
  ChatMessage, ConnectionState, ConversationSummary, DeliveryStatus, Failure, Person, SyncState,
} from './types.js'

/** The WebAssembly core as JavaScript sees it. Methods return at once; results arrive through `onUpdates`. */
export interface Core {
  start(): void
  send(op: number, conversation_id: string, content: string, message_type: string, metadata: unknown): void
  open(conversation_id: string): void
  close(conversation_id: string): void
  reload(op: number, conversation_id: string): void
  /** While on, the summaries of all conversations are kept. */
  list(on: boolean): void
  /** Answers `{has_older}`. */
  load_older(op: number, conversation_id: string): void
  retry(op: number, conversation_id: string | undefined): void
  cancel(op: number, conversation_id: string, id: string): void
  edit(op: number, conversation_id: string, id: string, content: string): void
  discard(op: number, conversation_id: string, id: string): void
  mark_read(conversation_id: string): void
  typing(conversation_id: string, on: boolean): void
  /** Answers `{unsent, maybe_sent}`. Afterwards only `free` may be called. */
  shutdown(op: number, discard: boolean): void
  free(): void
}

export interface CoreConfig {
  url: string
  api_key: string
  user_id?: string
  sender_role?: string
  resume_on_reconnect: boolean
  auto_read: boolean
  ticks: 'any' | 'all'
  keep_messages: number
  request_timeout_ms: number
  endpoint?: string
  table?: CoreTable
  /** In a worker: send what is unsent if no tab leads, and say `drained`. */
  drain_only?: boolean
}

export interface CoreHost {
  accessToken(): Promise<string | null>
  onUpdates(updates: CoreUpdate[]): void
}

export type CoreFactory = (config: CoreConfig, host: CoreHost) => Promise<Core>

export interface CoreError {
  code: string
  message: string
  retryable?: boolean
  http_status?: number
  pg_code?: string
}

export interface Patch {
  /** Forget all of this conversation first. */
  reset: boolean
  upserts: { order: number; message: ChatMessage }[]
  removes: string[]
}

export interface ListPatch {
  /** Forget all lines first. */
  reset: boolean
  /** All conversations are known, from the cache or the server. */
  loaded: boolean
  upserts: ConversationSummary[]
  removes: string[]
}

export interface DeliveryUpdate {
  conversation_id: string
  id: string
  status: DeliveryStatus
  retry_count: number
  failure: Failure | null
}

export type CoreUpdate =
  | { type: 'connection'; status: ConnectionState }
  | { type: 'sync'; conversation_id: string; state: SyncState }
  | { type: 'loaded'; conversation_id: string }
  | ({ type: 'messages'; conversation_id: string } & Patch)
  | { type: 'people'; conversation_id: string; people: Person[] }
  | ({ type: 'conversations' } & ListPatch)
  | { type: 'list'; state: SyncState; error: CoreError | null }
  | { type: 'history'; conversation_id: string; has_older: boolean | null }
  | { type: 'pending'; total: number; conversations: Record<string, number> }
  | ({ type: 'delivery' } & DeliveryUpdate)
  | { type: 'drained'; left: number }
  | { type: 'taken_back'; conversation_id: string; id: string }
  | { type: 'problem'; conversation_id: string | null; error: CoreError | null }
  | { type: 'storage'; durable: boolean }
  | { type: 'done'; op: number; result: unknown }
  | { type: 'failed'; op: number; error: CoreError }
  | { type: 'crashed'; message: string }
