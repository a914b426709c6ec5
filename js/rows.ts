import type { Patch } from './core.js'
import type { ChatMessage } from './types.js'

interface Row {
  order: number
  message: ChatMessage
}

/** One conversation's messages, ascending by the core's order. A message that did not change keeps its object. */
export class Rows {
  #rows: Row[] = []
  #byId = new Map<string, Row>()

  find(id: string): ChatMessage | undefined {
    return this.#byId.get(id)?.message
  }

  list(): ChatMessage[] {
    return this.#rows.map((row) => row.message)
  }

  apply({ reset, upserts, removes }: Patch): void {
    const known = this.#byId
    if (reset) {
      this.#rows = []
      this.#byId = new Map()
    }
    for (const id of removes) this.#remove(id)
    for (const { order, message } of upserts) {
      const old = known.get(message.id)?.message
      this.#put(order, old && JSON.stringify(old) === JSON.stringify(message) ? old : message)
    }
  }

  #put(order: number, message: ChatMessage): void {
    const row = this.#byId.get(message.id)
    if (row?.order === order) {
      row.message = message
      return
    }
    this.#remove(message.id)
    const added = { order, message }
    this.#rows.splice(this.#firstAfter(order), 0, added)
    this.#byId.set(message.id, added)
  }

  #remove(id: string): void {
    const row = this.#byId.get(id)
    if (!row) return
    this.#byId.delete(id)
    this.#rows.splice(this.#rows.lastIndexOf(row, this.#firstAfter(row.order) - 1), 1)
  }

  #firstAfter(order: number): number {
    let low = 0
    let high = this.#rows.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#rows[middle]!.order <= order) low = middle + 1
      else high = middle
    }
    return low
  }
}
