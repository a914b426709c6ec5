import { guarded } from './store.js'
import type { ChatEvents, ChatListener } from './types.js'

export class Events {
  readonly #listeners: { [T in keyof ChatEvents]: Set<ChatListener<T>> } = {
    connection_status: new Set(),
    delivery_status: new Set(),
    error: new Set(),
  }

  on<T extends keyof ChatEvents>(type: T, listener: ChatListener<T>): () => void {
    this.#listeners[type].add(listener)
    return () => this.off(type, listener)
  }

  off<T extends keyof ChatEvents>(type: T, listener: ChatListener<T>): void {
    this.#listeners[type].delete(listener)
  }

  emit<T extends keyof ChatEvents>(type: T, event: ChatEvents[T]): void {
    for (const listener of [...this.#listeners[type]]) guarded(() => listener(event))
  }
}
