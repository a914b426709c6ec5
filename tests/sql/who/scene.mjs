// A conversation of its own for every attempt, those who try, and what became of it.
import { row, uuid } from '../support.mjs'
import { Line } from './line.mjs'

export const ACTORS = ['no token', 'expired token', 'forged token', 'stranger', 'former member', 'member', 'service key']

const GRACE_MS = 60
const PATIENCE_MS = 5000

export class Scene {
  static async make(world, actor) {
    const scene = new Scene()
    const { operator, client, stranger } = world.users
    const former = { id: uuid(), role: 'client' }
    Object.assign(scene, { world, actor, owner: operator, member: client, stranger, former, secret: `secret-${uuid()}` })
    scene.id = await world.conversation(operator, client, former)
    const { send, ack } = world.ways.sql
    const message = (content) => row(scene.id, content)
    scene.messages = { owner: message(scene.secret), member: message('from the member'), former: message('from the former member') }
    await send(operator, [scene.messages.owner])
    await send(client, [scene.messages.member])
    await send(former, [scene.messages.former])
    await ack(operator, [{ conversation_id: scene.id, delivered: 1, read: 1 }])
    await world.sql`delete from chat_members where conversation_id = ${scene.id} and user_id = ${former.id}`
    return scene
  }

  /** Whom the actor is, or pretends to be: the expired token is a member's, the forged one names the owner. */
  get me() {
    const { stranger, owner, former, member } = this
    return { stranger, 'former member': former, 'forged token': owner, 'service key': owner }[this.actor] ?? member
  }

  /** The actor's own message here; strangers have none. */
  get mine() {
    return { member: this.messages.member, 'former member': this.messages.former }[this.actor] ?? row(this.id, 'never sent')
  }

  async token() {
    const { stack } = this.world
    switch (this.actor) {
      case 'no token': return null
      case 'service key': return stack.serviceKey
      case 'forged token': return forged(await stack.tokenFor(this.stranger.id), this.me.id)
      case 'expired token': return stack.tokenFor(this.me.id, { expiresIn: -60 })
      default: return stack.tokenFor(this.me.id)
    }
  }

  // Over the Data API ---------------------------------------------------------------------------------------------

  async request(path, { method = 'GET', body, headers = {}, base = 'rest/v1' } = {}) {
    const { stack } = this.world
    const token = await this.token()
    const response = await fetch(`${stack.url}/${base}/${path}`, {
      method,
      headers: {
        apikey: stack.apiKey, 'content-type': 'application/json', ...headers, ...(token && { authorization: `Bearer ${token}` }),
      },
      body: body === undefined ? undefined : JSON.stringify(body),
    })
    const text = await response.text()
    let answer = null
    try {
      answer = JSON.parse(text)
    } catch {
      // Nothing to read, which is an answer, too.
    }
    return { ok: response.ok, status: response.status, text, answer }
  }

  call(name, body) {
    return this.request(`rpc/${name}`, { method: 'POST', body })
  }

  send(item, as = this.me) {
    return this.call('chat_send', { expected_user: as.id, batch: [{ id: uuid(), conversation_id: this.id, content: 'x', ...item }] })
  }

  // Over Realtime -------------------------------------------------------------------------------------------------

  #lines = []

  async line(key) {
    const line = await Line.open(this.world.stack, key)
    this.#lines.push(line)
    return line
  }

  /** The actor's own connection. */
  async ownLine() {
    return this.line(this.actor === 'service key' ? this.world.stack.serviceKey : undefined)
  }

  /** Somebody who is entitled to hear what comes on a topic. */
  async witness(user, topic = inbox(user), options) {
    const line = await this.line()
    const reply = await line.join(topic, { token: await this.world.stack.tokenFor(user.id), ...options })
    if (reply?.status !== 'ok') throw new Error(`the witness was refused: ${JSON.stringify(reply)}`)
    return line
  }

  /** While `work` runs, the app has this table of its in the publication of changes. */
  async whilePublished(table, work) {
    await this.world.sql.unsafe(`alter publication supabase_realtime add table ${table}`)
    try {
      return await work()
    } finally {
      await this.world.sql.unsafe(`alter publication supabase_realtime drop table ${table}`)
    }
  }

  /** A message of the owner, as soon as the owner's own inbox has told it: whoever was to hear it has heard it then. */
  async say(text) {
    const witness = await this.witness(this.owner)
    await this.world.ways.sql.send(this.owner, [row(this.id, text)])
    await witness.until(text)
  }

  /** How long to listen: what must not come has had its time when the others have heard it, what must come gets more. */
  get listenMs() {
    return this.may ? PATIENCE_MS : GRACE_MS
  }

  leave() {
    for (const line of this.#lines.splice(0)) line.close()
  }

  // What became of it ---------------------------------------------------------------------------------------------

  /** Everything the database holds of this conversation. */
  async stored() {
    const [found] = await this.world.sql`
      select
        (select jsonb_agg(to_jsonb(c)) from chat_conversations c where c.id = ${this.id}) as conversation,
        (select jsonb_agg(to_jsonb(k) order by k.user_id) from chat_members k where k.conversation_id = ${this.id}) as members,
        (select jsonb_agg(to_jsonb(m) order by m.seq) from chat_messages m where m.conversation_id = ${this.id}) as messages`
    return found
  }
}

/** A good token with another user written into it, under the old signature. */
function forged(token, sub) {
  const [header, claims, signature] = token.split('.')
  const changed = { ...JSON.parse(Buffer.from(claims, 'base64url').toString()), sub }
  return [header, Buffer.from(JSON.stringify(changed)).toString('base64url'), signature].join('.')
}

export const conversationTopic = (scene) => `chat:${scene.id}`

export const inbox = (user) => `chat-user:${user.id}`
