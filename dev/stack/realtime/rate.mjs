const LONGEST_MS = 60_000

/** How much happens per second, on the average of as many seconds as `seconds()` says. */
export class Rate {
  #times = []

  constructor(seconds = () => 1) {
    this.seconds = seconds
  }

  /** The same, once more has happened. */
  count() {
    const now = Date.now()
    while (this.#times[0] <= now - LONGEST_MS) this.#times.shift()
    this.#times.push(now)
    return this.perSecond
  }

  get perSecond() {
    const seconds = this.seconds()
    const since = Date.now() - seconds * 1000
    return this.#times.filter((time) => time > since).length / seconds
  }
}
