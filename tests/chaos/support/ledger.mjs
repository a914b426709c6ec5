// What was asked of the pages, what they said, and what the database holds: counted here, outside of every page.
const GRACE_MS = 1000

const STORED = ['sent', 'delivered', 'read']

/** Rows of the database: `{id, conversation, sender, text}`, by conversation and in its order. */
export class Ledger {
  #messages = new Map()
  #reports = new Map()
  #absent = new Set()

  /** The messages of one call to a page, in the order in which the page sends them. */
  wrote({ page, sender, messages, at }) {
    for (const { text, conversation } of messages) {
      this.#messages.set(text, { text, conversation, sender, page, at, number: this.#messages.size, acceptedAt: null, rejected: null })
    }
  }

  accepted(text, at) {
    this.#messages.get(text).acceptedAt = at
  }

  rejected(text, code) {
    this.#messages.get(text).rejected = code
  }

  /** Has this page said of everything it was given whether it is accepted? */
  hasAnswered(page) {
    return [...this.#messages.values()].every((message) => message.page !== page || message.acceptedAt !== null || message.rejected !== null)
  }

  reportedAsSent(id, at) {
    if (!this.#reports.has(id)) this.#reports.set(id, { at, seen: false })
  }

  /** What a query that began at this time has found. Whoever was told that a message is sent must find it there. */
  looked(rows, at) {
    const ids = new Set(rows.map(({ id }) => id))
    for (const [id, report] of this.#reports) {
      if (report.seen || at < report.at + GRACE_MS) continue
      if (ids.has(id)) report.seen = true
      else this.#absent.add(id)
    }
  }

  get acceptedCount() {
    return this.#accepted().length
  }

  #accepted() {
    return [...this.#messages.values()].filter(({ acceptedAt }) => acceptedAt !== null)
  }

  /** Is everything that was accepted among these rows? */
  isStored(rows) {
    const texts = new Set(rows.map(({ text }) => text))
    return this.#accepted().every(({ text }) => texts.has(text))
  }

  /** The final figures; `views` are all open pages, each `{conversation: [{id, text, status}]}`. */
  verdict(rows, views) {
    const stored = countBy(rows, ({ text }) => text)
    const ids = new Set(rows.map(({ id }) => id))
    const shown = views.flatMap((view) => Object.values(view).flat())
    const unsent = new Set(shown.filter(({ status }) => status !== null && !STORED.includes(status)).map(({ text }) => text))
    const claimed = shown.filter(({ status }) => STORED.includes(status)).map(({ id }) => id)
    for (const id of [...claimed, ...this.#reports.keys()]) if (!ids.has(id)) this.#absent.add(id)
    const accepted = this.#accepted().map(({ text }) => text)
    const missing = accepted.filter((text) => !stored.has(text))
    return {
      accepted: accepted.length,
      sent: accepted.length - missing.length,
      unsent: missing.filter((text) => unsent.has(text)).length,
      lost: missing.filter((text) => !unsent.has(text)).length,
      doubled: [...stored.values()].reduce((sum, count) => sum + count - 1, 0),
      disordered: this.#disordered(rows),
      absent: this.#absent.size,
      rejected: [...this.#messages.values()].filter(({ rejected }) => rejected !== null).length,
    }
  }

  /** How many rows stand behind one that was written later, by the same person in the same conversation. */
  #disordered(rows) {
    const lanes = new Map()
    for (const row of rows) {
      const message = this.#messages.get(row.text)
      if (!message) continue
      const lane = `${row.conversation} ${row.sender}`
      lanes.set(lane, [...(lanes.get(lane) ?? []), message])
    }
    let count = 0
    for (const lane of lanes.values()) {
      lane.forEach((message, place) => {
        if (lane.slice(0, place).some((before) => isBefore(message, before))) count++
      })
    }
    return count
  }
}

/** In one page the order of the calls counts; across pages only what was accepted before the other was even written. */
function isBefore(one, other) {
  if (one.page === other.page) return one.number < other.number
  return one.acceptedAt !== null && one.acceptedAt < other.at
}

function countBy(items, keyOf) {
  const counts = new Map()
  for (const item of items) counts.set(keyOf(item), (counts.get(keyOf(item)) ?? 0) + 1)
  return counts
}

/**
 * The conversations in which a view is not the database's, in words: all of it, or, for a page that came later and
 * starts with the newest, an unbroken part that ends where the database does.
 */
export function wrongViews(rows, view, { whole, least = 0 }) {
  return Object.entries(view).flatMap(([conversation, shown]) => {
    const stored = rows.filter((row) => row.conversation === conversation).map(({ id }) => id)
    const enough = whole ? stored.length : Math.min(least, stored.length)
    const end = stored.slice(Math.max(0, stored.length - shown.length))
    const same = shown.length <= stored.length && shown.every(({ id }, index) => id === end[index])
    if (same && shown.length >= enough) return []
    const missing = end.filter((id) => !shown.some((message) => message.id === id)).length
    return [`${shown.length} shown of ${stored.length} stored${same ? '' : `, ${missing} of the newest not among them`}`]
  })
}
