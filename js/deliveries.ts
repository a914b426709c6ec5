import type { DeliveryStatus } from './types.js'

const TICKS: readonly DeliveryStatus[] = ['sent', 'delivered', 'read']

/** What has been told about each own message, so that every tick is told once and none is left out. */
export class Deliveries {
  readonly #told = new Map<string, DeliveryStatus>()

  /** The states to tell now, in order. */
  advance(id: string, status: DeliveryStatus): readonly DeliveryStatus[] {
    const told = this.#told.get(id)
    const from = told ? TICKS.indexOf(told) : -1
    const to = TICKS.indexOf(status)
    if (status === told || (from >= 0 && to <= from)) return []
    this.#told.set(id, status)
    return to < 0 ? [status] : TICKS.slice(from + 1, to + 1)
  }

  isSent(id: string): boolean {
    return TICKS.includes(this.#told.get(id)!)
  }
}
