import type { ChatError } from './errors.js'

/**
 * `connected`: the live channel is there and answered lately. `reconnecting`: it is not, and is being got back; requests
 * may be answered all the same. `disconnected`: neither is there.
 */
export type ConnectionState = 'connecting' | 'connected' | 'reconnecting' | 'disconnected' | 'needs_auth'
/**
 * `catching_up`: what was missed is being fetched. `live`: everything is there, and what is new comes at once. `polling`:
 * there is no live channel, and what is new comes within about 10 s, because it is asked for. `stale`: the server cannot
 * be reached.
 */
export type SyncState = 'catching_up' | 'live' | 'polling' | 'stale'
export type DeliveryStatus = 'sending' | 'sent' | 'delivered' | 'read' | 'failed'
export type DeliveryPhase = 'queued' | 'in_flight' | 'backing_off' | 'waiting_auth' | 'parked' | 'refused'

/** Why a message is shown as failed. */
export interface Failure {
  code: string
  /** true: it goes out by itself when it can; false: it waits for a person. */
  retryable: boolean
  http_status?: number
  pg_code?: string
  message: string
}

export interface ChatMessage {
  id: string
  conversation_id: string
  seq: number | null
  sender_id: string | null
  sender_role: string
  content: string
  message_type: string
  metadata: Record<string, unknown>
  /** ISO 8601 */
  created_at: string
  edited_at: string | null
  deleted_at: string | null
  /** Own messages only. */
  delivery_status?: DeliveryStatus
  retry_count: number
  phase?: DeliveryPhase
  next_attempt_at?: string | null
  blocked_by?: string | null
  failure?: Failure | null
}

export type WasmSource = string | URL | Response | BufferSource | WebAssembly.Module

/** The app's own table of messages, in the schema `public`. docs/ways-in.md says what it must be like. */
export interface TableSource {
  kind: 'table'
  /** Default `messages`. */
  table?: string
  /** Names of its columns. Those that may be `null` may be missing in the table. */
  columns?: {
    /** A uuid and the primary key. Default `id`. */
    id?: string
    /** Default `booking_id`. */
    conversationId?: string
    /** Default `sender_role`. */
    senderRole?: string
    /** Default `content`. */
    content?: string
    /** Filled by the database. Default `created_at`. */
    createdAt?: string
    /** The user's id. Default null: own messages are those with the role of `senderRole`. */
    senderId?: string | null
    /** Default `message_type`. */
    messageType?: string | null
    /** Default `metadata`. */
    metadata?: string | null
  }
}

/** The app's own endpoint, or a function, which takes one message per POST. docs/ways-in.md has its contract. */
export interface EndpointSource {
  kind: 'endpoint'
  /** Absolute, or relative to the page. */
  url: string
  /** Where messages are read. Default: the managed schema. */
  reads?: TableSource
}

export interface ChatClientOptions {
  /** The project's URL, as `createClient` of supabase-js takes it. */
  url: string
  /** The publishable (anon) key. */
  apiKey: string
  /** The signed-in user's access token, or null while nobody is signed in. Called whenever a fresh one is needed. */
  accessToken: () => Promise<string | null> | string | null
  /** Default: the token's `sub`. */
  userId?: string
  /** What own messages carry as `sender_role`. A table needs it. */
  senderRole?: string
  /** Where messages go and come from. Default: the managed schema. */
  source?: TableSource | EndpointSource
  /** Parked messages go out by themselves when the connection is back. Default true. */
  resumeOnReconnect?: boolean
  /** What is shown on a visible screen counts as read. Default true; false leaves it to `markRead()`. */
  autoRead?: boolean
  /** With several people at the other end, ticks show the first one who has a message, or all of them. Default 'any'. */
  ticks?: 'any' | 'all'
  /**
   * How many messages are kept on this device to be read without a network, over all conversations together. Above it
   * the longest conversation gives up its oldest ones, but none its newest 50. Default 50000, which are about 25 to 50
   * megabytes. Unsent messages do not count and are never given up.
   */
  keepMessages?: number
  /** Default 10000. */
  requestTimeoutMs?: number
  /**
   * Ask the browser once, after the first message was kept, not to clear this site's data when the disk gets full.
   * Default false, because Firefox asks the user.
   */
  requestPersistence?: boolean
  /**
   * After the last tab was closed, the app's service worker sends what is unsent, where the browser has Background Sync:
   * see `surechat/service-worker`. It keeps the last access token (no refresh token) in a database of its own while this
   * is on; `signOut()` deletes it. Default false.
   */
  backgroundSync?: boolean
  /** Where the WebAssembly module is, or the module itself. Default: beside this package's JavaScript. */
  wasm?: WasmSource
}

export interface SendOptions {
  message_type?: string
  metadata?: Record<string, unknown>
}

export interface Draft extends SendOptions {
  content: string
}

/** None of its promises raises an `unhandledrejection` when nobody looks at it. */
export interface SendHandle {
  /** Resolves when the message is on disk; rejects only when it was not accepted. */
  persisted: Promise<ChatMessage>
  /** Resolves when the server has stored it; rejects when it was refused, or cancelled before (`cancelled`). */
  sent: Promise<ChatMessage>
  retry(): Promise<void>
  /** As `cancelMessage` of the client; waits for `persisted`. */
  cancel(): Promise<void>
  /** As `editMessage` of the client; waits for `persisted`. */
  edit(content: string): Promise<void>
}

/** What a client left behind. */
export interface Unsent {
  /** Messages, edits and deletes that are not known to be on the server. */
  unsent: number
  /** How many of them may have arrived: their request was begun, and its answer is not known. */
  maybeSent: number
}

export interface ClientSnapshot {
  readonly connection: ConnectionState
  /** Messages not sent yet, failed ones included. */
  readonly pending: number
  /** false: this browser keeps nothing across a reload. null: not known yet. */
  readonly durable: boolean | null
  readonly error: ChatError | null
}

/** Somebody else who has the conversation open on a visible screen. */
export interface Person {
  user_id: string
  /** As a member of the conversation. */
  role: string
  typing: boolean
}

export interface ConversationSnapshot {
  readonly messages: readonly ChatMessage[]
  /** Somebody is subscribed. */
  readonly open: boolean
  readonly isLoading: boolean
  /**
   * Its first page is known, from the cache or the server; or it cannot be had now (no messages, though `hasOlder` is
   * true).
   */
  readonly loaded: boolean
  readonly error: ChatError | null
  readonly pendingCount: number
  readonly sync: SyncState
  /** Others who have it open just now, as far as is known: each once, members only. Nothing is promised of it. */
  readonly people: readonly Person[]
  /** Whether there is anything older than what `messages` begins with. null: not known, as before the first page. */
  readonly hasOlder: boolean | null
  /** An older page is on its way. */
  readonly isLoadingOlder: boolean
}

export interface Conversation {
  readonly id: string
  getSnapshot(): ConversationSnapshot
  getServerSnapshot(): ConversationSnapshot
  /** Opens the conversation while anybody is subscribed: it is loaded and kept live. */
  subscribe(listener: () => void): () => void
  /** Tells of changes without opening the conversation. */
  watch(listener: () => void): () => void
  send(content: string, options?: SendOptions): SendHandle
  /** As `cancelMessage` of the client. */
  cancel(messageId: string): Promise<void>
  /** As `editMessage` of the client. */
  edit(messageId: string, content: string): Promise<void>
  /** As `discardMessage` of the client. */
  discard(messageId: string): Promise<void>
  retryFailed(): Promise<void>
  reload(): Promise<void>
  /**
   * Puts up to 50 older messages before those in `messages`: from this device, else from the server. Resolves with
   * whether there are still older ones. Calls at the same time share one page. Rejects with `offline_history` when what
   * comes next is not kept here and the server cannot be reached.
   */
  loadOlder(): Promise<boolean>
  /**
   * With `autoRead: false`: what is shown counts as read. Only while somebody is subscribed; of a conversation that is not
   * open nothing is shown, and nothing happens.
   */
  markRead(): void
  /**
   * Tells the others that this user types, while the conversation is open on a visible page: call it at every key. It
   * ends with the next message, 5 s after the last call, and with `false`.
   */
  setTyping(on?: boolean): void
}

/** A line of the list of conversations. */
export interface ConversationSummary {
  readonly id: string
  /** The user's own role in it. */
  readonly role: string
  /** The number of its newest row. */
  readonly last_seq: number
  /** Messages of others that this user has not read, deleted ones left out. The server counts no further than 1000. */
  readonly unread: number
  /** The newest message, as it is after edits and deletes. Its content may be cut after 300 characters. */
  readonly last_message: ChatMessage | null
  /** ISO 8601; null while nothing was written. */
  readonly last_at: string | null
}

export interface ConversationsSnapshot {
  /** The latest first. A line that did not change is the same object. */
  readonly conversations: readonly ConversationSummary[]
  /** Nothing is known yet, neither from the cache nor from the server. */
  readonly isLoading: boolean
  /** Why there is no list, while there is none. */
  readonly error: ChatError | null
  readonly totalUnread: number
  readonly sync: SyncState
}

/** The list of all conversations. It is kept while anybody is subscribed. */
export interface Conversations {
  getSnapshot(): ConversationsSnapshot
  getServerSnapshot(): ConversationsSnapshot
  subscribe(listener: () => void): () => void
}

export interface ChatEvents {
  connection_status: { status: ConnectionState; previous: ConnectionState }
  /** Own messages only. `sent`, `delivered` and `read` come once each, in this order. */
  delivery_status: {
    id: string
    conversation_id: string
    status: DeliveryStatus
    retry_count: number
    failure: Failure | null
  }
  error: { error: ChatError }
}

export type ChatListener<T extends keyof ChatEvents> = (event: ChatEvents[T]) => void

export interface ChatClient {
  /** Loads the WebAssembly module and starts. A rejected start may be tried again. */
  connect(): Promise<void>
  /** Keeps the client running until the returned function is called, and a little longer. */
  retain(): () => void
  getConnectionStatus(): ConnectionState
  /** Messages not sent yet, failed ones included; of one conversation, or of all. */
  getPendingMessagesCount(conversationId?: string): number
  getSnapshot(): ClientSnapshot
  getServerSnapshot(): ClientSnapshot
  subscribe(listener: () => void): () => void
  addEventListener<T extends keyof ChatEvents>(type: T, listener: ChatListener<T>): () => void
  removeEventListener<T extends keyof ChatEvents>(type: T, listener: ChatListener<T>): void
  on<T extends keyof ChatEvents>(type: T, listener: ChatListener<T>): () => void
  /** All conversations of the user, with what is unread: 500 of them cost one channel and one request. */
  readonly conversations: Conversations
  /** The same object for the same id. The id '' stands for none: empty, idle, no request. */
  conversation(id: string): Conversation
  send(conversationId: string, draft: Draft): SendHandle
  /**
   * Deletes an own message. Never sent: it is gone, and nobody hears of it. Sent, or perhaps sent: it is deleted for
   * everybody, if need be after it has arrived. Resolves when that is on disk; what is still to be told to the server
   * counts as pending. Twice is once.
   */
  cancelMessage(conversationId: string, messageId: string): Promise<void>
  /**
   * Gives an own message another text. Never sent: it goes out with that text alone. Sent, or perhaps sent: the edit
   * follows it. Refused: it goes to the end as a new message. Resolves when that is on disk; rejects when it was not
   * accepted, as `send` does.
   */
  editMessage(conversationId: string, messageId: string, content: string): Promise<void>
  /**
   * Gives up an own message that is not sent, an edit or a delete: usually one that was refused. What may have arrived
   * is deleted when it did. Rejects with `not_found` when nothing of it is unsent.
   */
  discardMessage(conversationId: string, messageId: string): Promise<void>
  retryFailedMessages(conversationId?: string): Promise<void>
  loadMessages(conversationId: string): Promise<void>
  /**
   * Stops everything and resolves with the number of unsent messages. They are kept, unless `discard` is set.
   * The client starts again at the next call.
   */
  cleanup(options?: { discard?: boolean }): Promise<number>
  /**
   * Stops everything as `cleanup` does, and forgets who used this device. Call it before `supabase.auth.signOut()`.
   * What is unsent is kept for the day this user signs in again, unless `discard` is set. Rejects (`storage_failed`)
   * when it could not be counted or deleted; the client is stopped all the same.
   */
  signOut(options?: { discard?: boolean }): Promise<Unsent>
}
