// What a service worker needs to send after the last tab: a reason to wake, and the last access token.

/** Not in every browser, and so not in every version of its types. */
interface SyncRegistration {
  sync?: { register(tag: string): Promise<void> }
}

const STORE = 'token'

export const tagOf = (url: string): string => `surechat:${projectOf(url)}`

const databaseOf = (url: string): string => `surechat-token:${projectOf(url)}`

function projectOf(url: string): string {
  return url.replace(/^https?:\/\//, '').replace(/\/+$/, '')
}

export async function readToken(url: string): Promise<string | null> {
  const token = await withStore(url, 'readonly', (store) => store.get(0))
  return typeof token === 'string' ? token : null
}

/** The database is gone with it. Where there is no IndexedDB there is nothing to forget. */
export function forgetToken(url: string): Promise<void> {
  return new Promise((resolve) => {
    try {
      const request = indexedDB.deleteDatabase(databaseOf(url))
      request.onsuccess = request.onerror = request.onblocked = () => resolve()
    } catch {
      resolve()
    }
  })
}

/** Of one client. Nothing here may disturb it: what cannot be had is done without. */
export class BackgroundSync {
  readonly #url: string
  /** What is kept or forgotten happens in the order in which it was asked for. */
  #last: Promise<unknown> = Promise.resolve()
  /** Nothing is known of what an earlier page kept. */
  #kept: string | null | undefined

  constructor(url: string) {
    this.#url = url
  }

  keep(token: string | null): void {
    if (token === this.#kept) return
    this.#kept = token
    if (token === null) void this.#then(() => forgetToken(this.#url))
    else void this.#then(() => withStore(this.#url, 'readwrite', (store) => store.put(token, 0)))
  }

  forget(): Promise<unknown> {
    this.#kept = undefined
    return this.#then(() => forgetToken(this.#url))
  }

  /** The browser wakes the service worker when there is a network: at once, if there is one. */
  async wake(): Promise<void> {
    try {
      const registration = (await navigator.serviceWorker.ready) as ServiceWorkerRegistration & SyncRegistration
      await registration.sync?.register(tagOf(this.#url))
    } catch {
      // No service worker, or the user does not allow it: the next page sends.
    }
  }

  /** A wake-up is used up while a tab leads: one more whenever the page may be about to go. */
  watch(isUnsent: () => boolean): () => void {
    const check = () => {
      if (isUnsent()) void this.wake()
    }
    const hidden = () => {
      if (document.visibilityState === 'hidden') check()
    }
    addEventListener('pagehide', check)
    document.addEventListener('visibilitychange', hidden)
    return () => {
      removeEventListener('pagehide', check)
      document.removeEventListener('visibilitychange', hidden)
    }
  }

  #then(work: () => Promise<unknown>): Promise<unknown> {
    this.#last = this.#last.then(work).catch(() => {})
    return this.#last
  }
}

function withStore<T>(url: string, mode: IDBTransactionMode, run: (store: IDBObjectStore) => IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const opening = indexedDB.open(databaseOf(url), 1)
    opening.onupgradeneeded = () => opening.result.createObjectStore(STORE)
    opening.onerror = () => reject(opening.error)
    opening.onsuccess = () => {
      const database = opening.result
      const transaction = database.transaction(STORE, mode)
      const request = run(transaction.objectStore(STORE))
      transaction.oncomplete = () => {
        database.close()
        resolve(request.result)
      }
      transaction.onabort = () => {
        database.close()
        reject(transaction.error)
      }
    }
  })
}
