/** A value and its listeners, in the form `useSyncExternalStore` wants. */
export class Store<S extends object> {
  #snapshot: S
  readonly #listeners = new Set<() => void>()

  constructor(initial: S) {
    this.#snapshot = initial
  }

  readonly get = (): S => this.#snapshot

  /** Keeps the old object when nothing in it changed. */
  set(next: S): void {
    if (same(this.#snapshot, next)) return
    this.#snapshot = next
    for (const listener of [...this.#listeners]) guarded(listener)
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    const entry = () => listener()
    this.#listeners.add(entry)
    return () => void this.#listeners.delete(entry)
  }

  get watched(): boolean {
    return this.#listeners.size > 0
  }
}

function same<S extends object>(a: S, b: S): boolean {
  return (Object.keys(b) as (keyof S)[]).every((key) => Object.is(a[key], b[key]))
}

/** Runs an app's callback. What it throws is the app's to see, and never stops ours. */
export function guarded(run: () => void): void {
  try {
    run()
  } catch (error) {
    if (typeof reportError === 'function') reportError(error)
    else console.error(error)
  }
}

/** Marks a promise as handled, so that one nobody looks at raises no `unhandledrejection`. */
export function quiet<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {})
  return promise
}

export interface Deferred<T> {
  promise: Promise<T>
  resolve(value: T): void
  reject(error: unknown): void
}

export function deferred<T>(): Deferred<T> {
  let resolve!: (value: T) => void
  let reject!: (error: unknown) => void
  const promise = quiet(new Promise<T>((...settlers) => ([resolve, reject] = settlers)))
  return { promise, resolve, reject }
}
