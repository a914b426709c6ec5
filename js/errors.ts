import type { CoreError } from './core.js'

export interface ChatErrorDetails {
  status?: number
  retryable?: boolean
  pg_code?: string
  cause?: unknown
}

/** Every error of this package. Programs read `code`; `message` is for people. */
export class ChatError extends Error {
  override readonly name = 'ChatError'
  readonly code: string
  readonly status?: number
  readonly pg_code?: string
  /** The same call may work later, with nothing changed. */
  readonly retryable: boolean

  constructor(code: string, message: string, { status, pg_code, retryable = false, ...rest }: ChatErrorDetails = {}) {
    super(message, rest)
    this.code = code
    this.retryable = retryable
    if (status !== undefined) this.status = status
    if (pg_code !== undefined) this.pg_code = pg_code
  }
}

/** Whether they say the same to a program and to people. */
export function sameError(a: ChatError | null, b: ChatError | null): boolean {
  return a?.code === b?.code && a?.message === b?.message
}

/** After these the same call may work later, with nothing changed. Of a message that failed, the core says it itself. */
const PASSING = new Set([
  'network', 'timeout', 'server', 'rate_limited', 'offline_history', 'storage_failed', 'outbox_full', 'client_closed',
])

export function fromCore(error: CoreError): ChatError {
  const { code, message, http_status: status, retryable = PASSING.has(code), ...rest } = error
  return new ChatError(code, message, { ...rest, retryable, status })
}
