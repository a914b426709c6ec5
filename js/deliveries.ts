import type { DeliveryStatus } from './types.js'

const TICKS: readonly DeliveryStatus[] = ['sent', 'delivered', 'read']

/**
 * What has been told about each own message, so that every tick is told once and none is left out. That it failed is
 * told once more when it waits for a person (`refused`).
 */
export class Deliveries {
  readonly #told = new Map<string, { status: DeliveryStatus; refused: boolean }>()

  /** The states to tell now, in order. */
  advance(id: string, status: DeliveryStatus, refused = false): readonly DeliveryStatus[] {
    const told = this.#told.get(id)
    const from = told ? TICKS.indexOf(told.status) : -1
    const to = TICKS.indexOf(status)
    if ((status === told?.status && refused === told.refused) || (from >= 0 && to <= from)) return []
    this.#told.set(id, { status, refused })
    return to < 0 ? [status] : TICKS.slice(from + 1, to + 1)
  }

  isSent(id: string): boolean {
    return TICKS.includes(this.#told.get(id)?.status!)
  }
}
