// What somebody might try over the Data API. `may` names those who are meant to succeed: who else writes, or learns what
// `reveals` names, has found a hole. `check` looks closer at what those have done who
// may; it makes no sense to ask those in `but`.
import assert from 'node:assert/strict'
import { row, uuid } from '../support.mjs'

const secret = (scene) => scene.secret
const MEMBER = ['member']
const NOBODY = []

/** The row that this attempt has added, if there is one. */
const added = (before, after) => after.messages.find(({ id }) => !before.messages.some((old) => old.id === id))

function isMine(scene, before, after) {
  const message = added(before, after)
  assert.deepEqual([message.sender_id, message.sender_role, message.seq], [scene.me.id, 'client', 4])
}

export const DATA_API = [
  {
    group: 'Read',
    attempts: [
      { name: 'select from `chat_messages`', may: ['member', 'service key'], reveals: secret, run: (s) => s.request(`chat_messages?conversation_id=eq.${s.id}`) },
      { name: 'select from `chat_members`', may: ['member', 'service key'], reveals: (s) => s.owner.id, run: (s) => s.request(`chat_members?conversation_id=eq.${s.id}`) },
      { name: 'select from `chat_conversations`', may: ['member', 'service key'], reveals: (s) => s.id, run: (s) => s.request(`chat_conversations?id=eq.${s.id}&select=id`) },
      { name: 'messages embedded in their conversation', may: ['member', 'service key'], reveals: secret, run: (s) => s.request(`chat_conversations?id=eq.${s.id}&select=id,chat_messages(content)`) },
      { name: '`chat_my_conversations`', may: MEMBER, reveals: (s) => s.id, run: (s) => s.call('chat_my_conversations', {}) },
      { name: '`chat_sync` from the start', may: MEMBER, reveals: secret, run: (s) => s.call('chat_sync', { expected_user: s.me.id, cursors: { [s.id]: { seq: 0 } } }) },
      { name: '`chat_sync` without a cursor', may: MEMBER, reveals: secret, run: (s) => s.call('chat_sync', { expected_user: s.me.id, cursors: { [s.id]: {} } }) },
      { name: '`chat_sync` as another user', may: NOBODY, reveals: secret, run: (s) => s.call('chat_sync', { expected_user: s.owner.id, cursors: { [s.id]: { seq: 0 } } }), but: ['service key'] },
      { name: '`chat_list`', may: MEMBER, reveals: secret, run: (s) => s.call('chat_list', { expected_user: s.me.id }) },
      { name: '`chat_list` with a cursor of that conversation', may: MEMBER, reveals: secret, run: (s) => s.call('chat_list', { expected_user: s.me.id, since: 3, cursors: { [s.id]: { seq: 0 } } }) },
      { name: '`chat_list` as another user', may: NOBODY, reveals: secret, run: (s) => s.call('chat_list', { expected_user: s.owner.id }), but: ['service key'] },
      { name: 'select from `realtime.messages`', may: NOBODY, reveals: secret, run: (s) => s.request('messages?select=payload', { headers: { 'accept-profile': 'realtime' } }) },
    ],
  },
  {
    group: 'Send',
    attempts: [
      { name: 'a message', may: MEMBER, run: (s) => s.send({}), check: isMine },
      { name: 'as another user', may: NOBODY, run: (s) => s.send({}, s.owner), but: ['service key'] },
      {
        name: 'with a forged sender, role, number and time', may: MEMBER,
        run: (s) => s.send({ sender_id: s.owner.id, sender_role: 'system', seq: 1, created_at: '2001-01-01T00:00:00Z', edited_at: '2001-01-01T00:00:00Z' }),
        check(scene, before, after) {
          isMine(scene, before, after)
          assert.deepEqual([added(before, after).created_at > '2020', added(before, after).edited_at], [true, null])
        },
      },
      { name: 'under the id of another\'s message', may: NOBODY, reveals: secret, run: (s) => s.send({ id: s.messages.owner.id }) },
      { name: 'under the id that a delete of it will have', may: NOBODY, run: (s) => s.send({ id: s.messages.owner.id.replace(/^(.{14})./, '$18') }) },
      { name: 'the own message once more', may: NOBODY, reveals: secret, run: (s) => s.send(s.mine), but: ['no token', 'forged token', 'stranger', 'service key'] },
      { name: 'into a conversation that is not there', may: NOBODY, run: (s) => s.send({ conversation_id: 'nowhere' }) },
      {
        name: 'insert into `chat_messages`', may: NOBODY,
        run: (s) => s.request('chat_messages', { method: 'POST', body: { id: uuid(), conversation_id: s.id, seq: 9, sender_id: s.me.id, sender_role: 'client', content: 'x' } }),
      },
      {
        name: 'upsert over another\'s message', may: NOBODY,
        run: (s) => s.request('chat_messages?on_conflict=id', {
          method: 'POST', headers: { prefer: 'resolution=merge-duplicates,return=representation' },
          body: { id: s.messages.owner.id, conversation_id: s.id, seq: 1, sender_id: s.me.id, sender_role: 'client', content: 'x' },
        }),
        reveals: secret,
      },
      { name: '`chat_append`, behind the checks', may: NOBODY, run: (s) => s.call('chat_append', { sender: s.owner.id, conversation: s.id, as_role: 'operator', item: row(s.id) }) },
      { name: '`chat_store`, behind the checks', may: NOBODY, run: (s) => s.call('chat_store', { sender: s.owner.id, conversation: s.id, as_role: 'operator', item: row(s.id) }) },
    ],
  },
  {
    group: 'Edit and delete',
    attempts: [
      { name: 'edit the own message', may: MEMBER, run: (s) => s.send({ kind: 'edit', target_id: s.mine.id }) },
      { name: 'edit another\'s message', may: NOBODY, run: (s) => s.send({ kind: 'edit', target_id: s.messages.owner.id }) },
      { name: 'delete the own message', may: MEMBER, run: (s) => s.send({ kind: 'delete', target_id: s.mine.id }) },
      { name: 'delete another\'s message', may: NOBODY, run: (s) => s.send({ kind: 'delete', target_id: s.messages.owner.id }) },
      { name: 'a tombstone over another\'s message', may: NOBODY, run: (s) => s.send({ kind: 'delete', id: s.messages.owner.id, target_id: s.messages.owner.id }) },
      { name: 'update `chat_messages`', may: NOBODY, run: (s) => s.request(`chat_messages?conversation_id=eq.${s.id}`, { method: 'PATCH', body: { content: 'x' } }) },
      { name: 'delete from `chat_messages`', may: ['service key'], run: (s) => s.request(`chat_messages?conversation_id=eq.${s.id}`, { method: 'DELETE' }) },
      { name: 'delete from `chat_conversations`', may: ['service key'], run: (s) => s.request(`chat_conversations?id=eq.${s.id}`, { method: 'DELETE' }) },
    ],
  },
  {
    group: 'Speak as the system',
    attempts: [
      { name: '`chat_post_system`', may: ['service key'], run: (s) => s.call('chat_post_system', { conversation_id: s.id, content: 'x' }) },
      {
        name: '`chat_send` with the role `system`', may: MEMBER, run: (s) => s.send({ sender_id: null, sender_role: 'system', message_type: 'system' }),
        check: isMine,
      },
      { name: 'edit a message of the system', may: NOBODY, before: async (s) => {
        const [post] = await s.world.ways.sql.call('service_role', 'chat_post_system', { conversation_id: s.id, content: 'official' })
        s.post = post.id
      }, run: (s) => s.send({ kind: 'edit', target_id: s.post }) },
    ],
  },
  {
    group: 'Acknowledge',
    attempts: [
      {
        name: 'what one has received', may: MEMBER,
        run: (s) => s.call('chat_ack', { expected_user: s.me.id, acks: [{ conversation_id: s.id, delivered: 2, read: 2 }] }),
        check: (s, before, after) => assert.deepEqual(after.members.filter((k) => k.user_id !== s.me.id), before.members.filter((k) => k.user_id !== s.me.id)),
      },
      { name: 'for another user', may: NOBODY, run: (s) => s.call('chat_ack', { expected_user: s.owner.id, acks: [{ conversation_id: s.id, delivered: 3, read: 3 }] }) },
      { name: 'update `chat_members`', may: NOBODY, run: (s) => s.request(`chat_members?conversation_id=eq.${s.id}`, { method: 'PATCH', body: { read_seq: 3 } }) },
    ],
  },
  {
    group: 'Join and remove',
    attempts: [
      { name: '`chat_ensure` with oneself', may: ['service key'], run: (s) => s.call('chat_ensure', { conversation_id: s.id, members: [{ user_id: s.actor === 'service key' ? s.stranger.id : s.me.id, role: 'operator' }] }) },
      { name: 'insert into `chat_members`', may: NOBODY, run: (s) => s.request('chat_members', { method: 'POST', body: { conversation_id: s.id, user_id: s.me.id, role: 'operator' } }) },
      { name: 'another role for oneself', may: NOBODY, run: (s) => s.request(`chat_members?conversation_id=eq.${s.id}&user_id=eq.${s.me.id}`, { method: 'PATCH', body: { role: 'operator' } }) },
      { name: 'insert into `chat_conversations`', may: NOBODY, run: (s) => s.request('chat_conversations', { method: 'POST', body: { id: `${s.id}-mine` } }) },
      { name: 'delete another from `chat_members`', may: ['service key'], run: (s) => s.request(`chat_members?conversation_id=eq.${s.id}&user_id=eq.${s.owner.id}`, { method: 'DELETE' }) },
    ],
  },
]

/** What was answered, in few words. */
export function inWords({ ok, status, answer }) {
  if (!ok) return [status, answer?.code].filter(Boolean).join(' ')
  if (!Array.isArray(answer)) return String(status)
  if (answer.length === 0) return 'nothing'
  return answer[0].status ?? 'rows'
}
