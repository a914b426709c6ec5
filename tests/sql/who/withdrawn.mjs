// What a membership that is withdrawn takes with it, step by step, while its former owner stays connected.
import assert from 'node:assert/strict'
import { row } from '../support.mjs'
import { inWords } from './attempts.mjs'
import { conversationTopic, Scene } from './scene.mjs'

const GRACE_MS = 60

/** The steps as `[what is done, what comes of it]`; raises where it is not as it must be. */
export async function withdraw(world) {
  const steps = []
  const note = (what, outcome) => steps.push([what, outcome])
  const scene = await Scene.make(world, 'member')
  const other = await world.conversation(scene.owner, scene.member)
  const { id, member, owner, messages } = scene
  try {
    const line = await scene.witness(member)
    await scene.say('before')
    await line.until('before')
    note('before: live events', 'heard in the joined inbox')
    const topic = conversationTopic(scene)
    const [there, ownerThere] = [await scene.witness(member, topic), await scene.witness(owner, topic)]
    const sayThere = async (word) => {
      await ownerThere.push(topic, 'broadcast', { type: 'broadcast', event: 'typing', payload: { word } })
    }
    await sayThere('first')
    await there.until('first')
    note('before: the topic of the conversation', 'joined and heard')

    const server = new Scene()
    Object.assign(server, { ...scene, actor: 'service key' })
    const gone = await server.request(`chat_members?conversation_id=eq.${id}&user_id=eq.${member.id}`, { method: 'DELETE' })
    assert.equal(gone.status, 204)
    note('the server deletes the row in `chat_members`', inWords(gone))
    await line.until('members')
    note('that a membership has changed', 'heard in the joined inbox, not which')
    const stored = await scene.stored()

    const expected = async (what, wanted, request) => {
      const answer = await request
      assert.equal(inWords(answer), wanted, what)
      note(what, wanted)
    }
    const sync = () => scene.call('chat_sync', { expected_user: member.id, cursors: { [id]: { seq: 0 } } })
    await expected('the next `chat_send`', 'forbidden', scene.send({}))
    await expected('the next `chat_sync`', 'forbidden', sync())
    await expected('the next `chat_ack`', 'nothing', scene.call('chat_ack', { expected_user: member.id, acks: [{ conversation_id: id, read: 4 }] }))
    await expected('select from `chat_messages`', 'nothing', scene.request(`chat_messages?conversation_id=eq.${id}`))
    await expected('an edit of an own message', 'forbidden', scene.send({ kind: 'edit', target_id: messages.member.id }))
    await expected('a message that was stored before, sent again', 'duplicate', scene.send(messages.member))
    assert.deepEqual(await scene.stored(), stored)

    await scene.say('after')
    assert.ok(!(await line.hears('after', GRACE_MS)))
    note('live events of that conversation', 'not heard in the joined inbox')
    await world.ways.sql.send(owner, [row(other, 'elsewhere')])
    await line.until('elsewhere')
    note('live events of other conversations', 'heard, over the same connection')

    await sayThere('second')
    await there.until('second')
    note('the topic of the conversation, which was joined before', 'still heard, until the token is renewed')
    const renewed = await world.stack.tokenFor(member.id, { expiresIn: 1800 })
    there.push(topic, 'access_token', { access_token: renewed }, 0)
    await there.until('phx_close')
    await sayThere('third')
    assert.ok(!(await there.hears('third', GRACE_MS)))
    note('the token is renewed', 'the channel is closed')
    const again = await (await scene.line()).join(topic, { token: renewed })
    assert.equal(again.status, 'error')
    note('joining that topic again', again.response.reason.split(':')[0])

    await world.ways.sql.call('service_role', 'chat_ensure', { conversation_id: id, members: [{ user_id: member.id, role: 'client' }] })
    const back = await sync()
    assert.ok(back.text.includes('after'))
    const own = back.answer[0].members.find((each) => each.user_id === member.id)
    assert.deepEqual([own.read_seq, own.delivered_seq], [back.answer[0].last_seq, back.answer[0].last_seq])
    note('a member again: `chat_sync`', 'everything, also what was written in between; it counts as read')
    return steps
  } finally {
    scene.leave()
  }
}
