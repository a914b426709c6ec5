import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { ChatClient, Conversation } from '../../js/types.js'
import { delivery, failureOf, fakeClient, message, settled, startedClient } from './fake-core.js'

type Acts = [name: string, core: string, act: (client: ChatClient, conversation: Conversation) => Promise<void>, content?: string]

const ACTS: Acts[] = [
  ['client.cancelMessage', 'cancel', (client) => client.cancelMessage('a', 'm1')],
  ['client.editMessage', 'edit', (client) => client.editMessage('a', 'm1', 'better'), 'better'],
  ['client.discardMessage', 'discard', (client) => client.discardMessage('a', 'm1')],
  ['conversation.cancel', 'cancel', (_, conversation) => conversation.cancel('m1')],
  ['conversation.edit', 'edit', (_, conversation) => conversation.edit('m1', 'better'), 'better'],
  ['conversation.discard', 'discard', (_, conversation) => conversation.discard('m1')],
]

describe.each(ACTS)('%s', (_, name, act, content) => {
  const call = [name, 'a', 'm1', ...(content ? [content] : [])]

  it('reaches the core, and resolves with nothing when that has done it', async () => {
    const { client, core } = await startedClient()
    core.obliging = false
    const settling = vi.fn()
    const acted = act(client, client.conversation('a'))
    acted.then(settling, settling)
    expect(core.calls.at(-1)).toEqual(call)
    await settled()
    expect(settling).not.toHaveBeenCalled()
    core.say({ type: 'done', op: 1, result: {} })
    expect(await acted).toBeUndefined()
  })

  it('starts the client, and rejects with what the core says', async () => {
    const { client, core } = fakeClient({}, (core) => void (core.obliging = false))
    const acted = act(client, client.conversation('a'))
    await settled()
    expect(core().calls).toEqual([['start'], call])
    core().say({ type: 'failed', op: 1, error: { code: 'not_found', message: 'unable to; because' } })
    expect(await failureOf(acted)).toMatchObject({ name: 'ChatError', code: 'not_found', retryable: false })
  })
})

describe('an act', () => {
  it.each([
    ['cancelMessage', 'delete', 'invalid_conversation', ''], ['editMessage', 'edit', 'invalid_conversation', 'x'],
    ['discardMessage', 'discard', 'invalid_conversation', ''], ['editMessage', 'edit', 'invalid_text', undefined],
  ] as const)('that cannot be is refused before it reaches the core: %s', async (method, verb, code, content) => {
    const { client, cores } = fakeClient()
    const error = await failureOf(client[method](code === 'invalid_text' ? 'a' : '', 'm1', content as never))
    expect(error.code).toBe(code)
    expect(error.message).toMatch(new RegExp(`^unable to ${verb} the message; because `))
    expect(cores).toHaveLength(0)
  })

  it('hands the core strings only, whatever the app calls an id', async () => {
    const { client, core } = await startedClient()
    await client.cancelMessage(7 as never, undefined as never)
    expect(core.calls.at(-1)).toEqual(['cancel', '7', ''])
  })

  it('of a conversation shows why it failed, until the next one succeeds', async () => {
    const { client, core } = await startedClient()
    core.obliging = false
    const conversation = client.conversation('a')
    const edited = failureOf(conversation.edit('m1', ' '))
    core.say({ type: 'failed', op: 1, error: { code: 'empty_message', message: 'unable to edit; because' } })
    expect(await edited).toMatchObject({ code: 'empty_message' })
    expect(conversation.getSnapshot().error).toMatchObject({ code: 'empty_message' })
    core.obliging = true
    await conversation.edit('m1', 'text')
    expect(conversation.getSnapshot().error).toBeNull()
  })
})

describe('a handle', () => {
  const sending = async () => {
    const fake = await startedClient()
    fake.core.obliging = false
    const handle = fake.client.send('a', { content: 'hello' })
    const persist = () => {
      fake.core.obliging = true
      fake.core.say({ type: 'done', op: 1, result: { message: message({ id: 'm1', delivery_status: 'sending' }) } })
    }
    return { ...fake, handle, persist }
  }

  it('cancels and edits its message once it is persisted', async () => {
    const { core, handle, persist } = await sending()
    const edited = handle.edit('better')
    const cancelled = handle.cancel()
    await settled()
    expect(core.names()).toEqual(['start', 'send'])
    persist()
    await Promise.all([edited, cancelled])
    expect(core.calls.slice(2)).toEqual([['edit', 'a', 'm1', 'better'], ['cancel', 'a', 'm1']])
  })

  it('of a message that was not accepted rejects with the reason', async () => {
    const { core, handle } = await sending()
    const acts = [handle.cancel(), handle.edit('better')].map(failureOf)
    core.say({ type: 'failed', op: 1, error: { code: 'storage_full', message: 'unable to send; because' } })
    for (const error of await Promise.all(acts)) expect(error).toMatchObject({ code: 'storage_full' })
    expect(core.names()).toEqual(['start', 'send'])
  })

  it.each(['cancelMessage', 'discardMessage'] as const)('rejects sent as cancelled after %s', async (method) => {
    const { client, core, handle, persist } = await sending()
    persist()
    await client[method]('a', 'm1')
    expect(await failureOf(handle.sent)).toMatchObject({ code: 'cancelled', retryable: false })
    core.say(delivery('m1', 'sent'))
    await expect(handle.persisted).resolves.toMatchObject({ id: 'm1' })
  })

  it('rejects sent as cancelled when another tab took the message back', async () => {
    const { core, handle, persist } = await sending()
    persist()
    await handle.persisted
    core.say({ type: 'taken_back', conversation_id: 'a', id: 'm1' })
    expect(await failureOf(handle.sent)).toMatchObject({ code: 'cancelled' })
  })

  it('keeps waiting for sent after an edit, and after a cancel that failed', async () => {
    const { core, handle, persist } = await sending()
    persist()
    await handle.edit('better')
    core.obliging = false
    const cancelled = failureOf(handle.cancel())
    await settled()
    core.say({ type: 'failed', op: 3, error: { code: 'storage_failed', message: 'unable to; because' } })
    await cancelled
    core.say(delivery('m1', 'sent'))
    expect(await handle.sent).toMatchObject({ id: 'm1', delivery_status: 'sent' })
  })

  it('of a message that was sent leaves sent as it is when it is cancelled', async () => {
    const { core, handle, persist } = await sending()
    persist()
    core.say(delivery('m1', 'sent'))
    await handle.cancel()
    await expect(handle.sent).resolves.toMatchObject({ id: 'm1' })
  })
})

describe('signOut', () => {
  const KEY = 'surechat:user:https://project.supabase.co'
  beforeEach(() => localStorage.setItem(KEY, 'me'))
  afterEach(() => {
    vi.unstubAllGlobals()
    localStorage.clear()
  })

  it('stops, resolves with what is unsent, and forgets who it was', async () => {
    localStorage.setItem('surechat:user:https://another.supabase.co', 'me')
    const { client, core } = await startedClient()
    core.say({ type: 'connection', status: 'connected' })
    expect(await client.signOut()).toEqual({ unsent: 2, maybeSent: 1 })
    expect(core.calls).toEqual([['start'], ['shutdown', false], ['free']])
    expect(client.getSnapshot()).toMatchObject({ connection: 'disconnected', pending: 2 })
    expect(localStorage.getItem(KEY)).toBeNull()
    expect(localStorage.getItem('surechat:user:https://another.supabase.co')).toBe('me')
  })

  it('still knows the user while it counts', async () => {
    const known: (string | null)[] = []
    const { client } = fakeClient({}, (core) => {
      core.start = () => void known.push(localStorage.getItem(KEY))
      core.shutdown = (op) => {
        known.push(localStorage.getItem(KEY))
        core.soon({ type: 'done', op, result: { unsent: 0, maybe_sent: 0 } })
      }
    })
    await client.signOut()
    expect(known).toEqual(['me', 'me'])
    expect(localStorage.getItem(KEY)).toBeNull()
  })

  it('counts also when the client was not running, and after a crash', async () => {
    const { client, cores, core } = fakeClient()
    expect(await client.signOut()).toEqual({ unsent: 2, maybeSent: 1 })
    await client.connect()
    core().say({ type: 'crashed', message: 'panicked at' })
    expect(await client.signOut()).toEqual({ unsent: 2, maybeSent: 1 })
    expect(cores.map((core) => core.names())).toEqual([
      ['start', 'shutdown', 'free'], ['start'], ['start', 'shutdown', 'free'],
    ])
  })

  it('deletes what is unsent when it is told to', async () => {
    const { client, core } = await startedClient()
    expect(await client.signOut({ discard: true })).toEqual({ unsent: 0, maybeSent: 0 })
    expect(core.calls).toContainEqual(['shutdown', true])
  })

  it('rejects when it could not be counted, and has stopped and forgotten all the same', async () => {
    const { client, core } = await startedClient()
    core.obliging = false
    const signedOut = failureOf(client.signOut())
    await settled()
    core.say({ type: 'failed', op: 1, error: { code: 'storage_failed', message: 'unable to count; because' } })
    expect(await signedOut).toMatchObject({ code: 'storage_failed' })
    expect(core.names()).toEqual(['start', 'shutdown', 'free'])
    expect(client.getConnectionStatus()).toBe('disconnected')
    expect(localStorage.getItem(KEY)).toBeNull()
  })

  it('while a cleanup is under way waits for it, and shares what it found', async () => {
    const { client, core } = await startedClient()
    const [cleaned, signedOut] = [client.cleanup(), client.signOut()]
    expect(await cleaned).toBe(2)
    expect(await signedOut).toEqual({ unsent: 2, maybeSent: 1 })
    expect(core.count('shutdown')).toBe(1)
    expect(localStorage.getItem(KEY)).toBeNull()
  })

  it('works where nothing may be stored', async () => {
    vi.stubGlobal('localStorage', { removeItem: () => { throw new DOMException('denied', 'SecurityError') } })
    const { client } = await startedClient()
    expect(await client.signOut()).toEqual({ unsent: 2, maybeSent: 1 })
  })
})

describe('requestPersistence', () => {
  const persist = vi.fn()
  beforeEach(() => {
    persist.mockReset()
    Object.defineProperty(navigator, 'storage', { value: { persist }, configurable: true })
  })
  afterEach(() => void Reflect.deleteProperty(navigator, 'storage'))

  it('asks the browser once, after the first message was kept', async () => {
    persist.mockResolvedValue(true)
    const { client } = await startedClient({ requestPersistence: true })
    expect(persist).not.toHaveBeenCalled()
    await client.send('a', { content: 'one' }).persisted
    await client.send('a', { content: 'two' }).persisted
    expect(persist).toHaveBeenCalledTimes(1)
  })

  it('does not ask unless it is set', async () => {
    const { client } = await startedClient()
    await client.send('a', { content: 'one' }).persisted
    expect(persist).not.toHaveBeenCalled()
  })

  it.each([
    ['refuses', () => Promise.reject(new TypeError('no'))],
    ['throws', () => { throw new TypeError('no') }],
    ['is not there', undefined],
  ])('does no harm when the browser %s', async (_, behaviour) => {
    Object.defineProperty(navigator, 'storage', { value: behaviour && { persist: behaviour }, configurable: true })
    const { client } = await startedClient({ requestPersistence: true })
    await expect(client.send('a', { content: 'one' }).persisted).resolves.toMatchObject({ content: 'one' })
    await settled()
    expect(client.getConnectionStatus()).toBe('connecting')
  })
})
