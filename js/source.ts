import type { ChatClientOptions, TableSource } from './types.js'

/** As the core reads it: flat, with every name filled in. */
export interface CoreTable {
  name: string
  id: string
  conversation_id: string
  sender_role: string
  content: string
  created_at: string
  sender_id?: string
  message_type?: string
  metadata?: string
}

type Check = (ok: boolean, field: keyof ChatClientOptions, wanted: string) => void

type Columns = NonNullable<TableSource['columns']>

const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/
const COLUMNS: { [column in keyof Required<Columns>]: string | null } = {
  id: 'id', conversationId: 'booking_id', senderRole: 'sender_role', content: 'content', createdAt: 'created_at',
  senderId: null, messageType: 'message_type', metadata: 'metadata',
}
const MAY_LACK = ['senderId', 'messageType', 'metadata']

/** What the core hears of the way in: nothing for the managed schema. */
export function toWay(source: ChatClientOptions['source'], check: Check): { endpoint?: string; table?: CoreTable } {
  if (source === undefined) return {}
  const kind = source?.kind
  check(kind === 'table' || kind === 'endpoint', 'source', 'of the kind `table` or `endpoint`')
  if (source.kind === 'table') return { table: toTable(source, check) }
  const { reads } = source
  check(reads === undefined || reads?.kind === 'table', 'source', 'read from a source of the kind `table`')
  return { endpoint: toUrl(source.url, check), ...(reads && { table: toTable(reads, check) }) }
}

function toUrl(url: string, check: Check): string {
  const page = globalThis.location?.href
  let resolved = ''
  try {
    resolved = page || /^https?:/.test(url) ? new URL(url, page).href : url
  } catch {
    // Said below.
  }
  // On a server a path stays one: nothing is sent from there.
  check(typeof url === 'string' && (/^https?:\/\/[^/]/.test(resolved) || (!page && /^\/[^/]/.test(url))), 'source', 'an endpoint with an http(s) URL')
  return resolved
}

function toTable({ table = 'messages', columns = {} }: TableSource, check: Check): CoreTable {
  const isName = (value: unknown) => typeof value === 'string' && NAME.test(value)
  check(isName(table), 'source', 'a table with a name of letters, digits and underscores')
  for (const [column, name] of Object.entries(columns)) {
    const lacks = name === null && MAY_LACK.includes(column)
    check(column in COLUMNS && (isName(name) || name === undefined || lacks), 'source', `a table whose column \`${column}\` has a name`)
  }
  const name = (column: keyof Columns) => (columns[column] === undefined ? COLUMNS[column] : columns[column])
  const needed = (column: keyof Columns) => name(column) as string
  const [senderId, messageType, metadata] = [name('senderId'), name('messageType'), name('metadata')]
  return {
    name: table,
    id: needed('id'),
    conversation_id: needed('conversationId'),
    sender_role: needed('senderRole'),
    content: needed('content'),
    created_at: needed('createdAt'),
    ...(senderId && { sender_id: senderId }),
    ...(messageType && { message_type: messageType }),
    ...(metadata && { metadata }),
  }
}
