const SECOND_MS = 1000

/** How much happened within the last second. Realtime takes the average of a minute. */
export class Rate {
  #times = []

  count() {
    const now = Date.now()
    while (this.#times[0] <= now - SECOND_MS) this.#times.shift()
    this.#times.push(now)
    return this.#times.length
  }

  get perSecond() {
    const since = Date.now() - SECOND_MS
    return this.#times.filter((time) => time > since).length
  }
}
