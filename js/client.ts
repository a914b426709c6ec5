import { BackgroundSync, forgetToken } from './background-sync.js'
import { ConversationStore, LINGER_MS } from './conversation.js'
import { ConversationList } from './conversations.js'
import type { Core, CoreConfig, CoreFactory, CoreHost, CoreUpdate, DeliveryUpdate } from './core.js'
import { Deliveries } from './deliveries.js'
import { ChatError, fromCore, sameError } from './errors.js'
import { Events } from './events.js'
import { toConfig } from './options.js'
import { deferred, type Deferred, quiet, Store } from './store.js'
import type {
  ChatClient, ChatClientOptions, ChatEvents, ChatListener, ChatMessage, ClientSnapshot, ConnectionState,
  Conversation, Draft, SendHandle, Unsent,
} from './types.js'

const INITIAL: ClientSnapshot = Object.freeze({ connection: 'connecting', pending: 0, durable: null, error: null })

interface Call {
  run(core: Core, op: number): void
  done(result: unknown): void
  failed(error: ChatError): void
}

/**
 * One core at a time, made at the first use. Until it is there, calls wait in `#waiting`; while it shuts down they
 * wait for that. Every call has a number, under which the core answers. A batch of updates is applied whole, then
 * the stores tell their listeners, then the events go out, so nobody ever sees half a batch.
 */
export class Client implements ChatClient {
  readonly #config: CoreConfig
  readonly #accessToken: ChatClientOptions['accessToken']
  readonly #createCore: CoreFactory
  readonly #store = new Store<ClientSnapshot>(INITIAL)
  readonly #events = new Events()
  readonly #deliveries = new Deliveries()
  readonly #background: BackgroundSync | null
  readonly #conversations = new Map<string, ConversationStore>()
  readonly #calls = new Map<number, Call>()
  readonly #unsent = new Map<string, { message: ChatMessage; sent: Deferred<ChatMessage> }>()
  #waiting: Call[] = []
  #pending: Record<string, number> = {}
  #op = 0
  #core: Core | null = null
  #host: CoreHost | null = null
  #started: Promise<void> | null = null
  #closing: Promise<Unsent> | null = null
  #crash: ChatError | null = null
  #refs = 0
  #pinned = false
  #leaving = false
  #asksToPersist: boolean
  #leaveTimer: ReturnType<typeof setTimeout> | undefined
  #loadFailures = 0
  #stopReloading = () => {}
  #stopWatching = () => {}

  constructor(options: ChatClientOptions, createCore: CoreFactory) {
    this.#config = toConfig(options)
    this.#accessToken = options.accessToken
    this.#createCore = createCore
    this.#asksToPersist = options.requestPersistence ?? false
    this.#background = options.backgroundSync ? new BackgroundSync(this.#config.url) : null
  }

  readonly conversations = new ConversationList({
    retain: () => this.retain(),
    list: (on) => this.#hint((core) => core.list(on)),
  })

  readonly getSnapshot = this.#store.get
  readonly getServerSnapshot = () => INITIAL
  readonly subscribe = this.#store.subscribe

  connect(): Promise<void> {
    this.#pinned = true
    return this.#start()
  }

  retain(): () => void {
    this.#refs++
    this.#leaving = false
    clearTimeout(this.#leaveTimer)
    this.#start()
    let held = true
    return () => {
      if (!held) return
      held = false
      if (--this.#refs > 0) return
      this.#leaveTimer = setTimeout(() => {
        this.#leaving = true
        this.#leave()
      }, LINGER_MS)
    }
  }

  getConnectionStatus(): ConnectionState {
    return this.#store.get().connection
  }

  getPendingMessagesCount(conversationId?: string): number {
    if (conversationId === undefined) return this.#store.get().pending
    return this.#pending[toId(conversationId)] ?? 0
  }

  addEventListener<T extends keyof ChatEvents>(type: T, listener: ChatListener<T>): () => void {
    return this.#events.on(type, listener)
  }

  removeEventListener<T extends keyof ChatEvents>(type: T, listener: ChatListener<T>): void {
    this.#events.off(type, listener)
  }

  on<T extends keyof ChatEvents>(type: T, listener: ChatListener<T>): () => void {
    return this.#events.on(type, listener)
  }

  conversation(conversationId: string): Conversation {
    return this.#conversation(conversationId)
  }

  send(conversationId: string, { content, message_type, metadata }: Draft): SendHandle {
    const id = toId(conversationId)
    const persisted = deferred<ChatMessage>()
    const sent = deferred<ChatMessage>()
    const failed = (error: ChatError) => {
      persisted.reject(error)
      sent.reject(error)
    }
    const refusal = refuse('send', id, content)
    if (refusal) failed(refusal)
    else this.#call({
      run: (core, op) => core.send(op, id, content, String(message_type ?? 'text'), metadata ?? {}),
      done: (result) => {
        const { message } = result as { message: ChatMessage }
        persisted.resolve(message)
        if (this.#asksToPersist) void requestPersistence()
        this.#asksToPersist = false
        if (this.#deliveries.isSent(message.id)) sent.resolve(message)
        else this.#unsent.set(message.id, { message, sent })
      },
      failed,
    })
    return {
      persisted: persisted.promise,
      sent: sent.promise,
      retry: () => quiet(persisted.promise.then(() => this.retryFailedMessages(id))),
      cancel: () => quiet(persisted.promise.then((message) => this.cancelMessage(id, message.id))),
      edit: (content) => quiet(persisted.promise.then((message) => this.editMessage(id, message.id, content))),
    }
  }

  cancelMessage(conversationId: string, messageId: string): Promise<void> {
    return this.#act('delete', conversationId, messageId, '', (core, op, ...ids) => core.cancel(op, ...ids))
  }

  editMessage(conversationId: string, messageId: string, content: string): Promise<void> {
    return this.#act('edit', conversationId, messageId, content, (core, op, ...ids) => core.edit(op, ...ids, content))
  }

  discardMessage(conversationId: string, messageId: string): Promise<void> {
    return this.#act('discard', conversationId, messageId, '', (core, op, ...ids) => core.discard(op, ...ids))
  }

  retryFailedMessages(conversationId?: string): Promise<void> {
    const id = conversationId === undefined ? undefined : toId(conversationId)
    return this.#request((core, op) => core.retry(op, id))
  }

  loadMessages(conversationId: string): Promise<void> {
    return this.#conversation(conversationId).reload()
  }

  cleanup({ discard = false }: { discard?: boolean } = {}): Promise<number> {
    const pending = () => this.#store.get().pending
    this.#rest()
    if (!this.#started && !this.#closing && !discard) return Promise.resolve(pending())
    return quiet(this.#stop(discard).then(({ unsent }) => unsent, (error) => {
      if (discard) throw error
      return pending()
    }))
  }

  signOut({ discard = false }: { discard?: boolean } = {}): Promise<Unsent> {
    this.#rest()
    return quiet(this.#stop(discard).finally(() => {
      forgetUser(this.#config.url)
      return this.#background?.forget()
    }))
  }

  #rest(): void {
    this.#pinned = false
    this.#stopReloading()
    if (this.#crash && !this.#closing) this.#end(this.#store.get().pending, 'disconnected')
  }

  #stop(discard: boolean): Promise<Unsent> {
    if (this.#closing && discard) {
      const again = () => this.#stop(discard)
      return quiet(this.#closing.then(again, again))
    }
    this.#closing ??= quiet(this.#close(discard, 'disconnected'))
    return this.#closing
  }

  #conversation(conversationId: string): ConversationStore {
    const id = toId(conversationId)
    const known = this.#conversations.get(id)
    if (known) return known
    const conversation = new ConversationStore(id, {
      retain: () => this.retain(),
      open: (id) => this.#hint((core) => core.open(id)),
      close: (id) => this.#hint((core) => core.close(id)),
      markRead: (id) => this.#hint((core) => core.mark_read(id)),
      setTyping: (id, on) => this.#hint((core) => core.typing(id, on)),
      send: (id, content, options) => this.send(id, { ...options, content }),
      cancel: (id, messageId) => this.cancelMessage(id, messageId),
      edit: (id, messageId, content) => this.editMessage(id, messageId, content),
      discard: (id, messageId) => this.discardMessage(id, messageId),
      retry: (id) => this.retryFailedMessages(id),
      reload: (id) => this.#request((core, op) => core.reload(op, id)),
      loadOlder: (id) => quiet(new Promise((resolve, failed) => this.#call({
        run: (core, op) => core.load_older(op, id),
        done: (result) => resolve((result as { has_older: boolean }).has_older),
        failed,
      }))),
    })
    conversation.setPending(this.#pending[id] ?? 0)
    conversation.commit()
    // A server renders many people's pages with one client and must not collect their conversations.
    if (typeof window !== 'undefined') this.#conversations.set(id, conversation)
    return conversation
  }

  #start(): Promise<void> {
    if (this.#crash) return quiet(Promise.reject(this.#crash))
    if (this.#closing) return quiet(this.#closing.then(() => this.#start(), () => this.#start()))
    return this.#running()
  }

  #running(): Promise<void> {
    if (this.#started) return this.#started
    this.#started = quiet(this.#launch())
    if (!this.#store.get().error) this.#show({ connection: 'connecting' })
    return this.#started
  }

  async #launch(): Promise<void> {
    this.#stopReloading()
    const host: CoreHost = {
      accessToken: async () => {
        const token = (await this.#accessToken()) || null
        if (host === this.#host) this.#background?.keep(token)
        return token
      },
      onUpdates: (updates) => {
        if (host === this.#host) this.#apply(updates)
      },
    }
    this.#host = host
    try {
      this.#core = await this.#createCore(this.#config, host)
    } catch (cause) {
      throw this.#notLoaded(cause)
    }
    this.#loadFailures = 0
    if (this.#background) this.#stopWatching = this.#background.watch(() => this.#store.get().pending > 0)
    else void forgetToken(this.#config.url)
    const open = [...this.#conversations.values()].filter((conversation) => conversation.isOpen)
    this.#tell((core) => {
      core.start()
      for (const { id } of open) core.open(id)
      if (this.conversations.isOpen) core.list(true)
    })
    for (const call of this.#waiting.splice(0)) this.#dispatch(call)
    if (this.#crash) throw this.#crash
    for (const conversation of open) {
      conversation.opening()
      conversation.commit()
    }
    if (this.conversations.isOpen) this.conversations.opening()
    this.conversations.commit()
    this.#show({ connection: 'connecting', error: null })
  }

  #notLoaded(cause: unknown): ChatError {
    const error = cause instanceof ChatError ? cause : new ChatError(
      'wasm_unavailable', `unable to start the chat; because its core could not be made: ${String(cause)}`, { cause },
    )
    this.#started = null
    this.#fail(error)
    if (error.retryable && !this.#closing && (this.#refs > 0 || this.#pinned)) this.#reloadLater()
    return error
  }

  #reloadLater(): void {
    const again = () => {
      this.#stopReloading()
      if (this.#refs > 0 || this.#pinned) this.#start()
    }
    const timer = setTimeout(again, Math.min(60_000, 2_000 * 2 ** this.#loadFailures++))
    globalThis.addEventListener?.('online', again)
    this.#stopReloading = () => {
      clearTimeout(timer)
      globalThis.removeEventListener?.('online', again)
    }
  }

  /** Rejects everything that waits and shows why. */
  #fail(error: ChatError): void {
    this.#rejectAll(error)
    for (const conversation of this.#conversations.values()) {
      if (!conversation.isOpen) continue
      conversation.setProblem(error)
      conversation.setSync('stale')
      conversation.setPeople([])
      conversation.commit()
    }
    if (this.conversations.isOpen) {
      this.conversations.setError(error)
      this.conversations.setSync('stale')
      this.conversations.commit()
    }
    this.#show({ connection: 'disconnected', error })
    this.#events.emit('error', { error })
  }

  #rejectAll(error: ChatError): void {
    const rejected = [...this.#calls.values(), ...this.#waiting.splice(0)]
    this.#calls.clear()
    for (const call of rejected) call.failed(error)
    for (const { sent } of this.#unsent.values()) sent.reject(error)
    this.#unsent.clear()
  }

  #crashed(cause: unknown): void {
    if (this.#crash) return
    this.#crash = new ChatError('crashed',
      'unable to go on; because the chat core crashed. Unsent messages are kept: reload the page', { cause })
    this.#core = null
    this.#host = null
    this.#fail(this.#crash)
  }

  async #close(discard: boolean, connection: ConnectionState): Promise<Unsent> {
    await null
    let { pending } = this.#store.get()
    try {
      await this.#running()
      const result = await new Promise((done, failed) => {
        this.#dispatch({ run: (core, op) => core.shutdown(op, discard), done, failed })
      })
      const { unsent, maybe_sent: maybeSent } = result as { unsent: number; maybe_sent: number }
      pending = unsent
      return { unsent, maybeSent }
    } finally {
      this.#end(pending, connection)
    }
  }

  #end(unsent: number, connection: ConnectionState): void {
    const core = this.#core
    this.#core = null
    this.#host = null
    this.#started = null
    this.#closing = null
    this.#crash = null
    this.#stopWatching()
    try {
      core?.free()
    } catch {
      // A core that fails while it is freed has nothing left to tell.
    }
    this.#rejectAll(new ChatError('client_closed', 'unable to finish; because the client was closed', { retryable: true }))
    if (unsent === 0) this.#pending = {}
    for (const [id, conversation] of this.#conversations) {
      conversation.clear()
      conversation.setPending(this.#pending[id] ?? 0)
      conversation.commit()
    }
    this.conversations.clear()
    this.conversations.commit()
    this.#show({ connection, pending: unsent, error: null })
  }

  /** Stops when nobody is interested any more and nothing is left to do. */
  #leave(): void {
    if (!this.#leaving || this.#pinned || this.#closing || !this.#core) return
    if (this.#store.get().pending > 0 || this.#calls.size > 0) return
    this.#leaving = false
    this.#closing = quiet(this.#close(false, 'connecting'))
  }

  #act(
    act: Act, conversationId: string, messageId: string, content: string,
    run: (core: Core, op: number, conversationId: string, messageId: string) => void,
  ): Promise<void> {
    const id = toId(conversationId)
    const refusal = refuse(act, id, content)
    if (refusal) return quiet(Promise.reject(refusal))
    const acted = this.#request((core, op) => run(core, op, id, toId(messageId)))
    if (act !== 'edit') acted.then(() => this.#cancelled(messageId), () => {})
    return acted
  }

  #cancelled(messageId: string): void {
    this.#unsent.get(messageId)?.sent.reject(
      new ChatError('cancelled', 'unable to send the message; because it was deleted before it was known to be sent'),
    )
    this.#unsent.delete(messageId)
  }

  #request(run: (core: Core, op: number) => void): Promise<void> {
    return quiet(new Promise((resolve, failed) => this.#call({ run, done: () => resolve(), failed })))
  }

  #call(call: Call): void {
    if (this.#crash) call.failed(this.#crash)
    else if (this.#closing) {
      const again = () => this.#call(call)
      this.#closing.then(again, again)
    } else if (this.#core) this.#dispatch(call)
    else {
      this.#waiting.push(call)
      this.#start()
    }
  }

  #dispatch(call: Call): void {
    if (this.#crash) return call.failed(this.#crash)
    const op = ++this.#op
    this.#calls.set(op, call)
    this.#tell((core) => call.run(core, op))
  }

  /** For what a new core is told anyway when it starts. */
  #hint(run: (core: Core) => void): void {
    if (!this.#closing) this.#tell(run)
  }

  /** The core never throws on purpose: what comes out of it is a crash. */
  #tell(run: (core: Core) => void): void {
    if (!this.#core) return
    try {
      run(this.#core)
    } catch (cause) {
      this.#crashed(cause)
    }
  }

  #apply(updates: CoreUpdate[]): void {
    const next: { -readonly [K in keyof ClientSnapshot]?: ClientSnapshot[K] } = {}
    const touched = new Set<ConversationStore>()
    const after: (() => void)[] = []
    let listed = false
    const touch = (id: string): ConversationStore => {
      const conversation = this.#conversation(id)
      touched.add(conversation)
      return conversation
    }
    for (const update of updates) {
      switch (update.type) {
        case 'connection':
          next.connection = update.status
          break
        case 'sync':
          touch(update.conversation_id).setSync(update.state)
          break
        case 'loaded':
          touch(update.conversation_id).setLoaded()
          break
        case 'messages':
          touch(update.conversation_id).patch(update)
          break
        case 'people':
          touch(update.conversation_id).setPeople(update.people)
          break
        case 'conversations':
          this.conversations.patch(update)
          listed = true
          break
        case 'list':
          this.conversations.setSync(update.state)
          this.conversations.setError(update.error && fromCore(update.error))
          listed = true
          break
        case 'history':
          touch(update.conversation_id).setHasOlder(update.has_older)
          break
        case 'pending':
          if (update.total > this.#store.get().pending) void this.#background?.wake()
          next.pending = update.total
          this.#pending = update.conversations
          for (const [id, conversation] of this.#conversations) {
            conversation.setPending(update.conversations[id] ?? 0)
            touched.add(conversation)
          }
          break
        case 'delivery':
          after.push(() => this.#delivered(update))
          break
        case 'taken_back':
          after.push(() => this.#cancelled(update.id))
          break
        case 'problem': {
          const error = update.error && fromCore(update.error)
          if (update.conversation_id !== null) touch(update.conversation_id).setProblem(error)
          else if (sameError(error, next.error === undefined ? this.#store.get().error : next.error)) break
          else next.error = error
          if (error) after.push(() => this.#events.emit('error', { error }))
          break
        }
        case 'storage':
          next.durable = update.durable
          break
        case 'done':
        case 'failed':
          this.#answered(update)
          break
        case 'crashed':
          after.push(() => this.#crashed(update.message))
      }
    }
    for (const conversation of touched) conversation.commit()
    if (listed) this.conversations.commit()
    this.#show(next)
    for (const run of after) run()
    this.#leave()
  }

  #answered(update: Extract<CoreUpdate, { type: 'done' | 'failed' }>): void {
    const call = this.#calls.get(update.op)
    this.#calls.delete(update.op)
    if (update.type === 'done') call?.done(update.result)
    else call?.failed(fromCore(update.error))
  }

  #delivered({ id, conversation_id, status, retry_count, failure }: DeliveryUpdate): void {
    const unsent = this.#unsent.get(id)
    const refused = status === 'failed' && !failure?.retryable
    if (unsent && refused) {
      this.#unsent.delete(id)
      unsent.sent.reject(fromCore(failure ?? { code: 'rejected', message: 'unable to send the message; because it was refused' }))
    }
    for (const step of this.#deliveries.advance(id, status, refused)) {
      this.#events.emit('delivery_status', { id, conversation_id, status: step, retry_count, failure })
    }
    if (unsent && this.#deliveries.isSent(id)) {
      this.#unsent.delete(id)
      const shown = this.#conversations.get(conversation_id)?.find(id)
      unsent.sent.resolve(shown ?? { ...unsent.message, delivery_status: status, retry_count })
    }
  }

  #show(change: Partial<ClientSnapshot>): void {
    const previous = this.#store.get().connection
    this.#store.set({ ...this.#store.get(), ...change })
    const status = this.#store.get().connection
    if (status !== previous) this.#events.emit('connection_status', { status, previous })
  }
}

/** An app's own ids may be numbers or missing, whatever the types say. */
function toId(conversationId: string): string {
  return String(conversationId ?? '')
}

type Act = 'send' | 'edit' | 'delete' | 'discard'

function refuse(act: Act, conversationId: string, content: unknown): ChatError | null {
  const refusal = (code: string, why: string) => new ChatError(code, `unable to ${act} the message; because ${why}`)
  if (conversationId === '') return refusal('invalid_conversation', 'no conversation is chosen')
  if (typeof content !== 'string') return refusal('invalid_text', 'its content is not a string')
  return null
}

/** Under this key the core remembers whose outbox it is, and finds it again without a token. */
function forgetUser(url: string): void {
  try {
    localStorage.removeItem(`surechat:user:${url}`)
  } catch {
    // Where nothing may be stored, nothing is remembered.
  }
}

async function requestPersistence(): Promise<void> {
  try {
    await navigator.storage.persist()
  } catch {
    // An old browser or an insecure page: what is kept stays as safe as it was.
  }
}
