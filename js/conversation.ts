import type { Patch } from './core.js'
import { type ChatError, sameError } from './errors.js'
import { Rows } from './rows.js'
import { Store } from './store.js'
import type {
  ChatMessage, Conversation, ConversationSnapshot, Person, SendHandle, SendOptions, SyncState,
} from './types.js'

/** A view that comes back within this time is the same view: a remount costs nothing. */
export const LINGER_MS = 2000

/** What a conversation asks of its client. */
export interface Link {
  retain(): () => void
  open(id: string): void
  close(id: string): void
  send(id: string, content: string, options: SendOptions): SendHandle
  cancel(id: string, messageId: string): Promise<void>
  edit(id: string, messageId: string, content: string): Promise<void>
  discard(id: string, messageId: string): Promise<void>
  retry(id: string): Promise<void>
  reload(id: string): Promise<void>
  loadOlder(id: string): Promise<boolean>
  markRead(id: string): void
  setTyping(id: string, on: boolean): void
}

const NOBODY: readonly Person[] = Object.freeze([])

const EMPTY: ConversationSnapshot = Object.freeze({
  messages: Object.freeze([]),
  open: false,
  isLoading: false,
  loaded: false,
  error: null,
  pendingCount: 0,
  sync: 'stale',
  people: NOBODY,
  hasOlder: null,
  isLoadingOlder: false,
})

const nothing = () => {}

export class ConversationStore implements Conversation {
  readonly id: string
  readonly #link: Link
  readonly #store = new Store(EMPTY)
  #rows = new Rows()
  #opening = false
  #loaded = false
  #sync: SyncState = 'stale'
  #people = NOBODY
  #hasOlder: boolean | null = null
  /** The page that is on its way, for everybody who wants it. */
  #older: Promise<boolean> | null = null
  #pending = 0
  /** From the core, until it says that it has passed. */
  #problem: ChatError | null = null
  /** Of the last call, until the next one succeeds; one to load also until everything is there. */
  #failure: ChatError | null = null
  #failedToLoad = false
  #holds = 0
  #release: (() => void) | null = null
  #timer: ReturnType<typeof setTimeout> | undefined

  constructor(id: string, link: Link) {
    this.id = id
    this.#link = link
  }

  readonly getSnapshot = (): ConversationSnapshot => this.#store.get()

  readonly getServerSnapshot = (): ConversationSnapshot => EMPTY

  readonly subscribe = (listener: () => void): (() => void) => {
    const release = this.#hold()
    const unwatch = this.watch(listener)
    return () => {
      release()
      unwatch()
    }
  }

  readonly watch = (listener: () => void): (() => void) => {
    const unsubscribe = this.#store.subscribe(listener)
    return () => {
      unsubscribe()
      this.#restLater()
    }
  }

  readonly send = (content: string, options: SendOptions = {}): SendHandle => {
    const handle = this.#link.send(this.id, content, options)
    this.#note(handle.persisted)
    return handle
  }

  readonly cancel = (messageId: string): Promise<void> => this.#note(this.#link.cancel(this.id, messageId))

  readonly edit = (messageId: string, content: string): Promise<void> => this.#note(this.#link.edit(this.id, messageId, content))

  readonly discard = (messageId: string): Promise<void> => this.#note(this.#link.discard(this.id, messageId))

  readonly retryFailed = (): Promise<void> => {
    if (this.id === '') return Promise.resolve()
    return this.#note(this.#link.retry(this.id))
  }

  readonly reload = (): Promise<void> => {
    if (this.id === '') return Promise.resolve()
    const release = this.#hold()
    const reloaded = this.#note(this.#link.reload(this.id), true)
    reloaded.then(release, release)
    return reloaded
  }

  readonly loadOlder = (): Promise<boolean> => {
    if (this.id === '') return Promise.resolve(false)
    if (this.#older) return this.#older
    const release = this.#hold()
    const older = this.#link.loadOlder(this.id)
    this.#older = older
    const settle = () => {
      if (this.#older === older) this.#older = null
      this.commit()
      release()
    }
    older.then(settle, settle)
    this.commit()
    return older
  }

  readonly markRead = (): void => {
    if (this.isOpen) this.#link.markRead(this.id)
  }

  readonly setTyping = (on = true): void => {
    if (this.isOpen) this.#link.setTyping(this.id, on !== false)
  }

  get isOpen(): boolean {
    return this.#release !== null
  }

  find(id: string): ChatMessage | undefined {
    return this.#rows.find(id)
  }

  // The setters below are the client's; nothing shows before `commit`.

  opening(): void {
    this.#opening = true
    this.#sync = 'catching_up'
    this.#people = NOBODY
    this.#problem = null
    this.#failure = null
  }

  patch(patch: Patch): void {
    this.#rows.apply(patch)
  }

  setLoaded(): void {
    this.#loaded = true
  }

  setSync(sync: SyncState): void {
    this.#sync = sync
    if ((sync === 'live' || sync === 'polling') && this.#failedToLoad) this.#failure = null
  }

  setPeople(people: readonly Person[]): void {
    this.#people = people
  }

  setHasOlder(hasOlder: boolean | null): void {
    this.#hasOlder = hasOlder
  }

  setPending(pending: number): void {
    this.#pending = pending
  }

  setProblem(problem: ChatError | null): void {
    if (!sameError(problem, this.#problem)) this.#problem = problem
  }

  /** Forgets what was shown; what is unsent stays counted. */
  clear(): void {
    this.#rows = new Rows()
    this.#opening = false
    this.#loaded = false
    this.#hasOlder = null
    this.#sync = 'stale'
    this.#people = NOBODY
    this.#problem = null
    this.#failure = null
  }

  commit(): void {
    const { messages } = this.#store.get()
    const list = this.#rows.list()
    const error = this.#failure ?? this.#problem
    this.#store.set({
      messages: sameList(messages, list) ? messages : list,
      open: this.isOpen,
      isLoading: this.#opening && !this.#loaded && !error,
      loaded: this.#loaded,
      error,
      pendingCount: this.#pending,
      sync: this.#sync,
      people: this.#people,
      hasOlder: this.#hasOlder,
      isLoadingOlder: this.#older !== null,
    })
  }

  #hold(): () => void {
    if (this.id === '') return nothing
    this.#holds++
    if (!this.#release) {
      this.#release = this.#link.retain()
      this.opening()
      this.#link.open(this.id)
      this.commit()
    }
    let held = true
    return () => {
      if (!held) return
      held = false
      this.#holds--
      this.#restLater()
    }
  }

  #restLater(): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.#rest(), LINGER_MS)
  }

  #rest(): void {
    if (this.#holds > 0) return
    if (this.#release) {
      this.#link.close(this.id)
      this.#release()
      this.#release = null
      this.#opening = false
      this.#sync = 'stale'
      this.#people = NOBODY
    }
    if (!this.#store.watched) this.clear()
    this.commit()
  }

  #note<T>(promise: Promise<T>, loads = false): Promise<T> {
    const settle = (failure: ChatError | null) => {
      this.#failure = failure
      this.#failedToLoad = loads
      this.commit()
    }
    promise.then(() => settle(null), settle)
    return promise
  }
}

function sameList(a: readonly unknown[], b: readonly unknown[]): boolean {
  return a.length === b.length && a.every((item, index) => item === b[index])
}
