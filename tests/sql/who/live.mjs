// What somebody might try over Realtime. `run` answers in words; `hears` and `disturbs` are asked of the frames.
import { randomUUID } from 'node:crypto'
import { conversationTopic, inbox } from './scene.mjs'

/** The reason in one word, as Realtime puts it in front. */
const refusal = (reply) => (reply === null ? 'no answer' : reply.status === 'ok' ? 'joined' : String(reply.response?.reason).split(':')[0])

/** Joins, and then the owner writes: does it arrive? */
async function listen(scene, topic, options) {
  const line = await scene.ownLine()
  const reply = await line.join(topic, { token: await scene.token(), ...options })
  if (reply?.status === 'ok' && options?.changes) await line.until('"extension":"postgres_changes"')
  const marker = `live-${randomUUID()}`
  await scene.say(marker)
  const hears = await line.hears(marker, scene.listenMs)
  return { text: reply?.status === 'ok' ? `joined, hears ${hears ? 'it' : 'nothing'}` : refusal(reply), hears }
}

/** Joins, pushes, and somebody who listens on that topic says whether it arrived. */
async function disturb(scene, topic, witness, { options, event = 'broadcast', payload }) {
  const marker = `forged-${randomUUID()}`
  const line = await scene.ownLine()
  const joined = await line.join(topic, { token: await scene.token(), ...options })
  const answer = joined?.status === 'ok' ? await line.push(topic, event, payload(marker), 300) : null
  const disturbs = await witness.hears(marker, scene.listenMs)
  if (joined?.status !== 'ok') return { text: refusal(joined), disturbs }
  return { text: `joined, ${answer === null ? 'no answer' : answer.status === 'ok' ? 'accepted' : 'refused'}`, disturbs }
}

/** Joins the topic of the conversation, where the owner then says something: does it arrive? */
async function overhear(scene, said, options) {
  const topic = conversationTopic(scene)
  const line = await scene.ownLine()
  const reply = await line.join(topic, { token: await scene.token(), presence: true, ...options })
  const marker = `said-${randomUUID()}`
  const owner = await scene.witness(scene.owner, topic, { presence: true })
  const answer = await owner.push(topic, said.event ?? 'broadcast', said.payload(marker))
  if (answer?.status !== 'ok') throw new Error('the owner was not heard')
  const hears = await line.hears(marker, scene.listenMs)
  return { text: reply?.status === 'ok' ? `joined, hears ${hears ? 'it' : 'nothing'}` : refusal(reply), hears }
}

/** Says something on the topic of the conversation, where the owner listens. */
async function say(scene, said, options = {}) {
  const topic = conversationTopic(scene)
  const witness = await scene.witness(scene.owner, topic, { presence: true })
  return disturb(scene, topic, witness, { ...said, options: { presence: true, ...options } })
}

async function overHttp(scene, topic, witness) {
  const marker = `forged-${randomUUID()}`
  const { status } = await scene.request('api/broadcast', {
    method: 'POST', base: 'realtime/v1', body: { messages: [{ topic, event: 'message', payload: { marker }, private: true }] },
  })
  return { text: String(status), disturbs: await witness.hears(marker, scene.listenMs) }
}

const broadcast = { payload: (marker) => ({ type: 'broadcast', event: 'message', payload: { marker } }) }
const track = { event: 'presence', payload: (marker) => ({ type: 'presence', event: 'track', payload: { marker } }), options: { presence: true } }

const changes = (schema, table) => [{ event: '*', schema, table }]

export const REALTIME = [
  {
    group: 'Listen',
    attempts: [
      { name: 'the own inbox', may: ['member', 'service key'], run: (s) => listen(s, inbox(s.me)) },
      { name: 'the inbox of another', may: ['service key'], run: (s) => listen(s, inbox(s.owner)) },
      { name: 'the inbox of another as a public channel', may: [], run: (s) => listen(s, inbox(s.owner), { isPrivate: false }) },
      { name: 'a topic of that prefix', may: [], run: (s) => listen(s, 'chat-user:') },
      { name: 'changes of `chat_messages`', may: [], run: (s) => listen(s, `own-${s.id}`, { isPrivate: false, changes: changes('public', 'chat_messages') }) },
      {
        name: 'the same, where the app publishes that table', may: ['member', 'service key'],
        run: (s) => s.whilePublished('public.chat_messages', () =>
          listen(s, `own-${s.id}`, { isPrivate: false, changes: changes('public', 'chat_messages') })),
      },
      { name: 'changes of `realtime.messages`', may: [], run: (s) => listen(s, `own-${s.id}`, { isPrivate: false, changes: changes('realtime', 'messages') }) },
    ],
  },
  {
    group: 'Disturb',
    attempts: [
      { name: 'broadcast into the inbox of another', may: ['service key'], run: async (s) => disturb(s, inbox(s.owner), await s.witness(s.owner), broadcast) },
      { name: 'the same through a public channel of that name', may: [], run: async (s) => disturb(s, inbox(s.owner), await s.witness(s.owner), { ...broadcast, options: { isPrivate: false } }) },
      { name: 'broadcast into the own inbox', may: ['service key'], run: async (s) => disturb(s, inbox(s.me), await s.witness(s.me), broadcast) },
      { name: 'broadcast into the inbox of another over HTTP', may: ['service key'], run: async (s) => overHttp(s, inbox(s.owner), await s.witness(s.owner)) },
      { name: 'presence in the inbox of another', may: [], run: async (s) => disturb(s, inbox(s.owner), await s.witness(s.owner, inbox(s.owner), { presence: true }), track) },
      { name: 'presence in the own inbox', may: [], run: async (s) => disturb(s, inbox(s.me), await s.witness(s.me, inbox(s.me), { presence: true }), track) },
    ],
  },
  {
    group: 'The topic of a conversation',
    attempts: [
      { name: 'hear a broadcast', may: ['member', 'service key'], run: (s) => overhear(s, broadcast) },
      { name: 'hear who is present', may: ['member', 'service key'], run: (s) => overhear(s, track) },
      { name: 'hear it as a public channel', may: [], run: (s) => overhear(s, broadcast, { isPrivate: false }) },
      { name: 'broadcast', may: ['member', 'service key'], run: (s) => say(s, broadcast) },
      { name: 'be present', may: ['member', 'service key'], run: (s) => say(s, track) },
      { name: 'broadcast through a public channel of that name', may: [], run: (s) => say(s, broadcast, { isPrivate: false }) },
      {
        name: 'broadcast over HTTP', may: ['member', 'service key'],
        run: async (s) => overHttp(s, conversationTopic(s), await s.witness(s.owner, conversationTopic(s))),
      },
    ],
  },
]
