import { randomBytes } from 'node:crypto'

/** Realtime takes as many presence calls in thirty seconds from one channel. */
export const MAX_CALLS = 5
const CALLS_WITHIN_MS = 30_000

/** Who is present on one topic: one entry for each channel that tracks. `send(diff)` goes to everybody on the topic. */
export class Presence {
  #entries = new Map()
  #calls = new WeakMap()

  constructor(send) {
    this.send = send
  }

  state() {
    return group([...this.#entries.values()])
  }

  track(channel, key, payload) {
    const before = this.#entries.get(channel)
    const meta = { phx_ref: randomBytes(12).toString('base64url'), ...(before && { phx_ref_prev: before.meta.phx_ref }), ...payload }
    const entry = { key, meta }
    this.#entries.set(channel, entry)
    this.send({ joins: group([entry]), leaves: group(before ? [before] : []) })
  }

  untrack(channel) {
    const before = this.#entries.get(channel)
    if (!before) return
    this.#entries.delete(channel)
    this.send({ joins: {}, leaves: group([before]) })
  }

  /** Counts one more, and answers how many there were lately. */
  calls(channel) {
    const since = Date.now() - CALLS_WITHIN_MS
    const calls = [...(this.#calls.get(channel) ?? []).filter((time) => time > since), Date.now()]
    this.#calls.set(channel, calls)
    return calls.length
  }
}

function group(entries) {
  const byKey = {}
  for (const { key, meta } of entries) (byKey[key] ??= { metas: [] }).metas.push(meta)
  return byKey
}
