import { LINGER_MS } from './conversation.js'
import type { ListPatch } from './core.js'
import { type ChatError, sameError } from './errors.js'
import { Store } from './store.js'
import type { Conversations, ConversationsSnapshot, ConversationSummary, SyncState } from './types.js'

/** What the list asks of its client. */
export interface ListLink {
  retain(): () => void
  list(on: boolean): void
}

/** Before anybody asked, and on a server. */
const UNKNOWN: ConversationsSnapshot = Object.freeze({
  conversations: Object.freeze([]),
  isLoading: true,
  error: null,
  totalUnread: 0,
  sync: 'stale',
})

interface Line {
  summary: ConversationSummary
  /** `last_at` in milliseconds. */
  at: number
}

/** All conversations of the user, the latest first. A line that did not change keeps its object. */
export class ConversationList implements Conversations {
  readonly #link: ListLink
  readonly #store = new Store(UNKNOWN)
  #lines = new Map<string, Line>()
  /** It is asked for, or will be. */
  #coming = true
  #loaded = false
  #sync: SyncState = 'stale'
  #error: ChatError | null = null
  #holds = 0
  #release: (() => void) | null = null
  #timer: ReturnType<typeof setTimeout> | undefined

  constructor(link: ListLink) {
    this.#link = link
  }

  readonly getSnapshot = (): ConversationsSnapshot => this.#store.get()

  readonly getServerSnapshot = (): ConversationsSnapshot => UNKNOWN

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#hold()
    const unsubscribe = this.#store.subscribe(listener)
    let held = true
    return () => {
      if (!held) return
      held = false
      unsubscribe()
      this.#holds--
      clearTimeout(this.#timer)
      this.#timer = setTimeout(() => this.#rest(), LINGER_MS)
    }
  }

  get isOpen(): boolean {
    return this.#release !== null
  }

  // The setters below are the client's; nothing shows before `commit`.

  opening(): void {
    this.#coming = true
    this.#sync = 'catching_up'
    this.#error = null
  }

  patch({ reset, loaded, upserts, removes }: ListPatch): void {
    const known = this.#lines
    if (reset) this.#lines = new Map()
    for (const id of removes) this.#lines.delete(id)
    for (const summary of upserts) {
      const old = known.get(summary.id)
      const same = old && JSON.stringify(old.summary) === JSON.stringify(summary)
      this.#lines.set(summary.id, same ? old : { summary, at: time(summary.last_at) })
    }
    this.#loaded ||= loaded
  }

  setSync(sync: SyncState): void {
    this.#sync = sync
  }

  setError(error: ChatError | null): void {
    if (!sameError(error, this.#error)) this.#error = error
  }

  clear(): void {
    this.#lines = new Map()
    this.#coming = false
    this.#loaded = false
    this.#sync = 'stale'
    this.#error = null
  }

  commit(): void {
    const { conversations } = this.#store.get()
    const list = [...this.#lines.values()].sort(byLatest).map(({ summary }) => summary)
    const same = list.length === conversations.length && list.every((line, index) => line === conversations[index])
    this.#store.set({
      conversations: same ? conversations : list,
      isLoading: this.#coming && !this.#loaded && !this.#error,
      error: this.#error,
      totalUnread: list.reduce((sum, { unread }) => sum + unread, 0),
      sync: this.#sync,
    })
  }

  #hold(): void {
    this.#holds++
    if (this.#release) return
    this.#release = this.#link.retain()
    this.opening()
    this.#link.list(true)
    this.commit()
  }

  #rest(): void {
    if (this.#holds > 0 || !this.#release) return
    this.#link.list(false)
    this.#release()
    this.#release = null
    this.clear()
    this.#coming = true
    this.commit()
  }
}

function byLatest(a: Line, b: Line): number {
  return b.at - a.at || (a.summary.id < b.summary.id ? -1 : 1)
}

/** In milliseconds; what has no time is older than everything. Databases spell the same moment in several ways. */
function time(text: string | null): number {
  if (text === null) return -1
  return Date.parse(text.replace(' ', 'T').replace(/([+-]\d\d)$/, '$1:00')) || 0
}
