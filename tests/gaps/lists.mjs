// Who reads by chat_list alone: one number for all conversations, no live events, and no second look at what was read.
import { setTimeout as sleep } from 'node:timers/promises'

class Listed {
  seen = []
  cursor = null
  first = 0

  /** One conversation of an answer. Answers whether its end was cut off, and is to be asked for by its cursor. */
  take({ first_seq, through_seq, last_seq, rows }) {
    if (this.cursor === null) {
      if (rows.length === 0 && through_seq < last_seq) return true
      this.first = first_seq - 1
      this.cursor = this.first
    }
    for (const { seq, id } of rows) if (seq > this.cursor) this.seen.push(id)
    this.cursor = Math.max(this.cursor, through_seq)
    return this.cursor < last_seq
  }
}

export class ListReader {
  requests = 0
  #since = null
  #cut = new Set()

  constructor({ stack, user, conversations, random }) {
    Object.assign(this, { stack, user, conversations, random })
    this.listed = new Map(conversations.map((id) => [id, new Listed()]))
  }

  async live(isOver) {
    while (!isOver()) {
      await this.#ask()
      await sleep(this.random() ** 3 * 800)
    }
  }

  async finish() {
    do await this.#ask()
    while (this.#cut.size > 0)
  }

  async #ask() {
    const cursors = Object.fromEntries([...this.#cut].map((id) => [id, { seq: this.listed.get(id).cursor }]))
    const answer = await fetch(`${this.stack.url}/rest/v1/rpc/chat_list`, {
      method: 'POST',
      headers: {
        apikey: this.stack.apiKey, authorization: `Bearer ${await this.stack.tokenFor(this.user.id)}`, 'content-type': 'application/json',
      },
      body: JSON.stringify({ expected_user: this.user.id, since: this.#since, cursors, max_rows: 50 + Math.floor(this.random() * 150) }),
    })
    if (!answer.ok) throw new Error(`chat_list: ${answer.status} ${await answer.text()}`)
    this.requests++
    const { since, conversations } = [await answer.json()].flat()[0]
    this.#since = since
    for (const { conversation_id, status, ...page } of conversations) {
      const listed = this.listed.get(conversation_id)
      if (listed === undefined) continue
      if (status !== 'ok') throw new Error(`chat_list: ${conversation_id} is ${status}`)
      if (listed.take(page)) this.#cut.add(conversation_id)
      else this.#cut.delete(conversation_id)
    }
  }
}
