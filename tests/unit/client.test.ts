import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Client } from '../../js/client.js'
import { LINGER_MS } from '../../js/conversation.js'
import { ChatError } from '../../js/errors.js'
import { FakeCore, failureOf, fakeClient, message, OPTIONS, rows, settled, startedClient } from './fake-core.js'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

describe('options', () => {
  it('reach the core with their defaults', async () => {
    const { core } = await startedClient()
    expect(core.config).toEqual({
      url: 'https://project.supabase.co', api_key: 'key', resume_on_reconnect: true, auto_read: true, ticks: 'any',
      keep_messages: 50_000, request_timeout_ms: 10_000,
    })
  })

  it('reach the core as given', async () => {
    const { core } = await startedClient({
      userId: 'u', senderRole: 'operator', resumeOnReconnect: false, autoRead: false, requestTimeoutMs: 500,
      ticks: 'all', keepMessages: 1000,
    })
    expect(core.config).toMatchObject({
      user_id: 'u', sender_role: 'operator', resume_on_reconnect: false, auto_read: false, ticks: 'all',
      keep_messages: 1000, request_timeout_ms: 500,
    })
  })

  it.each([
    ['url', undefined], ['url', 'project.supabase.co'], ['url', 'wss://x'], ['apiKey', ''], ['accessToken', 'token'],
    ['userId', ''], ['senderRole', 7], ['resumeOnReconnect', 'yes'], ['autoRead', 1], ['requestPersistence', 'yes'], ['backgroundSync', 1], ['requestTimeoutMs', 0], ['requestTimeoutMs', '9'],
    ['ticks', 'some'], ['keepMessages', -1], ['keepMessages', 0.5],
  ])('with a bad %s are refused by name', (field, value) => {
    const make = () => new Client({ ...OPTIONS, [field]: value } as never, () => Promise.reject())
    expect(make).toThrow(ChatError)
    expect(make).toThrow(`\`${field}\``)
    expect(make).toThrow(/^unable to .+; because /)
  })

  it('that are missing altogether are refused too', () => {
    expect(() => new Client(undefined as never, () => Promise.reject())).toThrow('`url`')
  })

  it.each([
    ['a value', 'token', 'token'], ['a promise', Promise.resolve('token'), 'token'], ['null', null, null], ['nothing', '', null],
  ])('take an accessToken that gives %s', async (_, given, wanted) => {
    const { core } = await startedClient({ accessToken: () => given })
    expect(await core.host.accessToken()).toBe(wanted)
  })
})

describe('starting', () => {
  it('does nothing before the first use, and happens once', async () => {
    const { client, cores } = fakeClient()
    client.conversation('a')
    client.on('connection_status', () => {})
    expect(client.getConnectionStatus()).toBe('connecting')
    await settled()
    expect(cores).toHaveLength(0)
    await Promise.all([client.connect(), client.connect()])
    client.retain()
    expect(cores).toHaveLength(1)
    expect(cores[0]!.names()).toEqual(['start'])
  })

  it('opens first what is subscribed, then makes the calls that waited, in their order', async () => {
    const { client, core } = fakeClient()
    client.conversation('a').subscribe(() => {})
    const one = client.send('a', { content: 'one' })
    const two = client.send('a', { content: 'two', message_type: 'note', metadata: { n: 2 } })
    void client.retryFailedMessages()
    expect((await one.persisted).content).toBe('one')
    expect((await two.persisted).content).toBe('two')
    expect(core().calls).toEqual([
      ['start'], ['open', 'a'], ['send', 'a', 'one', 'text', {}], ['send', 'a', 'two', 'note', { n: 2 }], ['retry', undefined],
    ])
  })

  it('that failed rejects what waited, and is tried again at the next call', async () => {
    let broken = true
    const create = vi.fn(async (config, host) => {
      if (broken) throw new ChatError('wasm_unavailable', 'unable to load; because', { retryable: true })
      return new FakeCore(config, host)
    })
    const client = new Client(OPTIONS, create)
    const errors = vi.fn()
    client.on('error', errors)
    const handle = client.send('a', { content: 'hello' })
    expect(await failureOf(handle.persisted)).toMatchObject({ code: 'wasm_unavailable' })
    expect(await failureOf(handle.sent)).toMatchObject({ code: 'wasm_unavailable' })
    expect(client.getSnapshot()).toMatchObject({ connection: 'disconnected', error: { code: 'wasm_unavailable' } })
    expect(errors).toHaveBeenCalledTimes(1)
    expect(create).toHaveBeenCalledTimes(1)

    broken = false
    await expect(client.send('a', { content: 'hello' }).persisted).resolves.toMatchObject({ content: 'hello' })
    expect(client.getSnapshot()).toMatchObject({ connection: 'connecting', error: null })
  })

  it('that failed is repeated by itself while somebody holds the client', async () => {
    const create = vi.fn(() => Promise.reject(new ChatError('wasm_unavailable', 'unable', { retryable: true })))
    const client = new Client(OPTIONS, create)
    const status = vi.fn()
    client.on('connection_status', status)
    const release = client.retain()
    await settled()
    await vi.advanceTimersByTimeAsync(2_000)
    expect(create).toHaveBeenCalledTimes(2)
    await vi.advanceTimersByTimeAsync(3_999)
    expect(create).toHaveBeenCalledTimes(2)
    window.dispatchEvent(new Event('online'))
    await settled()
    expect(create).toHaveBeenCalledTimes(3)
    expect(status.mock.calls).toEqual([[{ status: 'disconnected', previous: 'connecting' }]])
    release()
    await vi.advanceTimersByTimeAsync(100_000)
    window.dispatchEvent(new Event('online'))
    expect(create).toHaveBeenCalledTimes(3)
  })

  it('on a server says so, and is not repeated', async () => {
    const create = vi.fn(() => Promise.reject(new ChatError('wasm_unavailable', 'unable', { retryable: false })))
    const client = new Client(OPTIONS, create)
    expect(await failureOf(client.connect())).toMatchObject({ code: 'wasm_unavailable' })
    await vi.advanceTimersByTimeAsync(200_000)
    expect(create).toHaveBeenCalledTimes(1)
  })
})

describe('stopping', () => {
  it('comes a while after the last release, and not when somebody is back', async () => {
    const { client, core, cores } = fakeClient()
    const one = client.retain()
    await settled()
    one()
    const two = client.retain()
    await vi.advanceTimersByTimeAsync(LINGER_MS * 2)
    expect(core().names()).toEqual(['start'])
    two()
    two()
    await vi.advanceTimersByTimeAsync(LINGER_MS)
    expect(core().names()).toEqual(['start', 'shutdown', 'free'])
    expect(client.getConnectionStatus()).toBe('connecting')
    client.retain()
    await settled()
    expect(cores).toHaveLength(2)
  })

  it('waits for what is unsent', async () => {
    const { client, core } = fakeClient()
    const release = client.retain()
    await settled()
    core().say({ type: 'pending', total: 1, conversations: { a: 1 } })
    release()
    await vi.advanceTimersByTimeAsync(LINGER_MS * 5)
    expect(core().names()).toEqual(['start'])
    core().say({ type: 'pending', total: 0, conversations: {} })
    await settled()
    expect(core().names()).toEqual(['start', 'shutdown', 'free'])
  })

  it('does not happen by itself after connect()', async () => {
    const { client, core } = await startedClient()
    client.retain()()
    await vi.advanceTimersByTimeAsync(LINGER_MS * 5)
    expect(core.names()).toEqual(['start'])
  })
})

describe('cleanup', () => {
  it('of a client that never started is 0, and loads nothing', async () => {
    const { client, cores } = fakeClient()
    expect(await client.cleanup()).toBe(0)
    expect(cores).toHaveLength(0)
  })

  it('resolves with the number unsent, frees the core and forgets what was shown', async () => {
    const { client, core } = await startedClient()
    const conversation = client.conversation('a')
    conversation.subscribe(() => {})
    core.say(rows('a', [1, 'm1']), { type: 'pending', total: 2, conversations: { a: 2 } }, { type: 'connection', status: 'connected' })
    expect(await client.cleanup()).toBe(2)
    expect(core.names()).toEqual(['start', 'open', 'shutdown', 'free'])
    expect(client.getSnapshot()).toMatchObject({ connection: 'disconnected', pending: 2, error: null })
    expect(conversation.getSnapshot()).toMatchObject({ messages: [], isLoading: false, pendingCount: 2 })
    core.say(rows('a', [1, 'late']))
    expect(conversation.getSnapshot().messages).toEqual([])
  })

  it('lets the client start again at the next call, with its conversations', async () => {
    const { client, cores } = await startedClient()
    client.conversation('a').subscribe(() => {})
    const cleaned = client.cleanup()
    const loaded = client.loadMessages('a')
    expect(await cleaned).toBe(2)
    await loaded
    expect(cores.map((core) => core.names())).toEqual([
      ['start', 'open', 'shutdown', 'free'], ['start', 'open', 'reload'],
    ])
  })

  it('with discard deletes what is unsent, and starts the core for it if need be', async () => {
    const { client, core } = fakeClient()
    expect(await client.cleanup({ discard: true })).toBe(0)
    expect(core().calls).toEqual([['start'], ['shutdown', true], ['free']])
    expect(client.getPendingMessagesCount()).toBe(0)
  })

  it('twice is one, unless the second discards', async () => {
    const { client, cores } = await startedClient()
    const [one, two, three] = [client.cleanup(), client.cleanup(), client.cleanup({ discard: true })]
    expect(await Promise.all([one, two, three])).toEqual([2, 2, 0])
    expect(cores.map((core) => core.names())).toEqual([['start', 'shutdown', 'free'], ['start', 'shutdown', 'free']])
  })

  it('while the core is still loading waits for it', async () => {
    const { client, core } = fakeClient()
    const handle = client.send('a', { content: 'hello' })
    expect(await client.cleanup()).toBe(2)
    expect(core().names()).toEqual(['start', 'send', 'shutdown', 'free'])
    await expect(handle.persisted).resolves.toMatchObject({ content: 'hello' })
    expect(await failureOf(handle.sent)).toMatchObject({ code: 'client_closed', retryable: true })
  })

  it('when the core cannot be loaded still resolves, but does not claim to have discarded', async () => {
    const client = new Client(OPTIONS, () => Promise.reject(new Error('offline')))
    void client.connect()
    expect(await client.cleanup()).toBe(0)
    expect(await failureOf(client.cleanup({ discard: true }))).toMatchObject({ code: 'wasm_unavailable' })
  })

  it('that cannot count resolves with what was known last, unless it was to discard', async () => {
    const uncounted = (core: FakeCore) => void (core.shutdown = (op) => {
      core.soon({ type: 'failed', op, error: { code: 'storage_failed', message: 'unable to count; because' } })
    })
    const { client, core } = fakeClient({}, uncounted)
    await client.connect()
    core().say({ type: 'pending', total: 3, conversations: { a: 3 } })
    expect(await client.cleanup()).toBe(3)
    expect(await failureOf(client.cleanup({ discard: true }))).toMatchObject({ code: 'storage_failed' })
    expect(client.getPendingMessagesCount()).toBe(3)
  })
})

describe('a crash', () => {
  it('rejects everything that is pending and everything after', async () => {
    const { client, core } = await startedClient()
    core.obliging = false
    const handle = client.send('a', { content: 'hello' })
    const loading = client.loadMessages('a')
    core.say({ type: 'crashed', message: 'panicked at' })
    for (const promise of [handle.persisted, handle.sent, loading, client.retryFailedMessages(), client.connect()]) {
      expect(await failureOf(promise)).toMatchObject({ code: 'crashed' })
    }
    expect(client.getSnapshot()).toMatchObject({ connection: 'disconnected', error: { code: 'crashed' } })
  })

  it('is also what a core is in that throws', async () => {
    const { client, core } = await startedClient()
    core.crashOn = 'send'
    expect(await failureOf(client.send('a', { content: 'hello' }).persisted)).toMatchObject({ code: 'crashed' })
    expect(client.getConnectionStatus()).toBe('disconnected')
  })

  it('leaves cleanup working', async () => {
    const { client, core } = await startedClient()
    core.say({ type: 'pending', total: 3, conversations: { a: 3 } })
    core.say({ type: 'crashed', message: 'panicked at' })
    expect(await client.cleanup()).toBe(3)
    expect(core.names()).toEqual(['start'])
  })

  it('while it starts is told to who waits', async () => {
    const { client } = fakeClient({}, (core) => void (core.crashOn = 'start'))
    const handle = client.send('a', { content: 'hello' })
    expect(await failureOf(client.connect())).toMatchObject({ code: 'crashed' })
    expect(await failureOf(handle.persisted)).toMatchObject({ code: 'crashed' })
  })
})

describe('the snapshot', () => {
  it('keeps its object until something changes', async () => {
    const { client, core } = await startedClient()
    const listener = vi.fn()
    const off = client.subscribe(listener)
    const before = client.getSnapshot()
    core.say({ type: 'connection', status: 'connecting' })
    expect(client.getSnapshot()).toBe(before)
    core.say({ type: 'connection', status: 'connected' }, { type: 'storage', durable: true })
    expect(client.getSnapshot()).toEqual({ connection: 'connected', pending: 0, durable: true, error: null })
    expect(listener).toHaveBeenCalledTimes(1)
    off()
    core.say({ type: 'connection', status: 'disconnected' })
    expect(listener).toHaveBeenCalledTimes(1)
  })

  it('counts what is pending, in all and by conversation', async () => {
    const { client, core } = await startedClient()
    core.say({ type: 'pending', total: 3, conversations: { a: 2, b: 1 } })
    expect([undefined, 'a', 'b', 'c', ''].map((id) => client.getPendingMessagesCount(id))).toEqual([3, 2, 1, 0, 0])
    expect(client.conversation('a').getSnapshot().pendingCount).toBe(2)
    core.say({ type: 'pending', total: 1, conversations: { b: 1 } })
    expect(client.conversation('a').getSnapshot().pendingCount).toBe(0)
  })

  it('shows a problem of all until it has passed', async () => {
    const { client, core } = await startedClient()
    core.say({ type: 'problem', conversation_id: null, error: { code: 'storage_failed', message: 'unable', retryable: true } })
    expect(client.getSnapshot().error).toMatchObject({ code: 'storage_failed', retryable: true })
    core.say({ type: 'problem', conversation_id: null, error: null })
    expect(client.getSnapshot().error).toBeNull()
  })

  it.each([
    'storage_unavailable', 'storage_full', 'storage_failed', 'storage_outdated', 'storage_lost',
  ])('shows %s, and tells of it once', async (code) => {
    const { client, core } = await startedClient()
    const told = vi.fn()
    client.on('error', told)
    const problem = { type: 'problem', conversation_id: null, error: { code, message: 'unable to; because' } } as const
    core.say({ type: 'storage', durable: false }, problem)
    const { error, durable } = client.getSnapshot()
    expect(error).toMatchObject({ name: 'ChatError', code })
    expect(durable).toBe(false)
    core.say(problem)
    expect(client.getSnapshot().error).toBe(error)
    expect(told.mock.calls).toEqual([[{ error }]])
    core.say({ ...problem, error: null }, problem)
    expect(client.getSnapshot().error).toMatchObject({ code })
    expect(told).toHaveBeenCalledTimes(2)
  })
})

describe('a call', () => {
  it('rejects with what the core says', async () => {
    const { client, core } = await startedClient()
    core.obliging = false
    const loading = client.loadMessages('a')
    core.say({ type: 'failed', op: 1, error: { code: 'offline', message: 'unable to load; because', retryable: true, http_status: 503, pg_code: '57014' } })
    expect(await failureOf(loading)).toMatchObject({
      name: 'ChatError', code: 'offline', retryable: true, status: 503, pg_code: '57014', message: 'unable to load; because',
    })
    expect(client.conversation('a').getSnapshot().error).toMatchObject({ code: 'offline' })
    core.obliging = true
    await client.loadMessages('a')
    expect(client.conversation('a').getSnapshot().error).toBeNull()
  })

  it.each(['live', 'polling'] as const)('that could not load is forgotten when its conversation is %s; another one is not', async (state) => {
    const { client, core } = await startedClient()
    const conversation = client.conversation('a')
    conversation.subscribe(() => {})
    core.obliging = false
    const fail = async (op: number, call: Promise<unknown>, code: string) => {
      core.say({ type: 'failed', op, error: { code, message: 'unable to; because' } })
      await failureOf(call)
    }
    await fail(1, conversation.reload(), 'network')
    core.say({ type: 'sync', conversation_id: 'a', state: 'catching_up' })
    expect(conversation.getSnapshot().error).toMatchObject({ code: 'network' })
    core.say({ type: 'sync', conversation_id: 'a', state })
    expect(conversation.getSnapshot().error).toBeNull()
    await fail(2, conversation.send('hello').persisted, 'storage_failed')
    core.say({ type: 'sync', conversation_id: 'a', state })
    expect(conversation.getSnapshot().error).toMatchObject({ code: 'storage_failed' })
  })

  it.each([
    ['network', true], ['timeout', true], ['server', true], ['rate_limited', true], ['offline_history', true],
    ['storage_failed', true], ['outbox_full', true], ['client_closed', true],
    ['forbidden', false], ['empty_message', false], ['unsupported', false], ['schema_missing', false],
  ])('that fails with %s says whether it may work later: %s', async (code, retryable) => {
    const { client, core } = await startedClient()
    core.obliging = false
    const loading = client.loadMessages('a')
    core.say({ type: 'failed', op: 1, error: { code, message: 'unable to; because' } })
    expect(await failureOf(loading)).toMatchObject({ code, retryable })
  })

  it('that names no type and no metadata, in whatever way, sends plain text', async () => {
    const { client, core } = await startedClient()
    await client.send('a', { content: 'hello', message_type: null, metadata: null } as never).persisted
    await client.send('a', { content: 'hello', message_type: undefined, metadata: undefined }).persisted
    expect(core.calls.slice(-2)).toEqual(Array(2).fill(['send', 'a', 'hello', 'text', {}]))
  })

  it('that sends no text is refused before it reaches the core', async () => {
    const { client, cores } = fakeClient()
    expect(await failureOf(client.send('a', { content: 7 as never }).persisted)).toMatchObject({ code: 'invalid_text' })
    expect(await failureOf(client.send('', { content: 'x' }).sent)).toMatchObject({ code: 'invalid_conversation' })
    expect(cores).toHaveLength(0)
  })

  it('sees its conversation as it is after the whole batch', async () => {
    const { client, core } = await startedClient()
    core.obliging = false
    const conversation = client.conversation('a')
    conversation.subscribe(() => {})
    const loading = conversation.reload().then(() => conversation.getSnapshot().messages.length)
    core.say({ type: 'done', op: 1, result: undefined }, rows('a', [1, 'm1']))
    expect(await loading).toBe(1)
  })

  it('whose promise nobody looks at raises no unhandled rejection', async () => {
    const unhandled = vi.fn()
    // @ts-expect-error: the tests run on Node, whose types the package does not use
    const node = process
    node.on('unhandledRejection', unhandled)
    const client = new Client(OPTIONS, () => Promise.reject(new Error('offline')))
    const conversation = client.conversation('a')
    void client.connect()
    void client.send('a', { content: 'hello' }).retry()
    void client.send('a', { content: 'hello' }).cancel()
    void client.send('a', { content: 'hello' }).edit('hi')
    void client.cancelMessage('a', 'm1')
    void client.editMessage('', 'm1', 'hi')
    void conversation.discard('m1')
    void client.signOut()
    void conversation.send('hello')
    void conversation.reload()
    void conversation.retryFailed()
    void client.retryFailedMessages()
    void client.cleanup({ discard: true })
    vi.useRealTimers()
    await new Promise((resolve) => setTimeout(resolve, 30))
    node.off('unhandledRejection', unhandled)
    expect(unhandled).not.toHaveBeenCalled()
  })
})

it('a message of the core keeps its columns', async () => {
  const { client, core } = await startedClient()
  core.obliging = false
  const handle = client.send('a', { content: 'hello' })
  const stored = message({ id: 'x', metadata: { n: 1 }, delivery_status: 'sending' })
  core.say({ type: 'done', op: 1, result: { message: stored } })
  expect(await handle.persisted).toBe(stored)
})

describe('backgroundSync', () => {
  const register = vi.fn(async () => {})
  const pending = (total: number) => ({ type: 'pending' as const, total, conversations: { a: total } })
  beforeEach(() => {
    register.mockClear()
    vi.stubGlobal('navigator', { serviceWorker: { ready: Promise.resolve({ sync: { register } }) } })
  })
  afterEach(() => vi.unstubAllGlobals())

  it('asks to be woken whenever more is unsent, and when the page may be about to go', async () => {
    const { client, core } = await startedClient({ backgroundSync: true })
    core.say(pending(1))
    core.say(pending(2))
    await settled()
    expect(register.mock.calls).toEqual([['surechat:project.supabase.co'], ['surechat:project.supabase.co']])
    core.say(pending(1))
    dispatchEvent(new Event('pagehide'))
    await settled()
    expect(register).toHaveBeenCalledTimes(3)
    core.say(pending(0))
    dispatchEvent(new Event('pagehide'))
    await client.cleanup()
    dispatchEvent(new Event('pagehide'))
    await settled()
    expect(register).toHaveBeenCalledTimes(3)
  })

  it('is off unless it is wanted, and does without what a browser lacks', async () => {
    const { core } = await startedClient()
    core.say(pending(1))
    await settled()
    expect(register).not.toHaveBeenCalled()
    vi.stubGlobal('navigator', {})
    const other = await startedClient({ backgroundSync: true, accessToken: () => 'token' })
    other.core.say(pending(1))
    expect(await other.core.host.accessToken()).toBe('token')
    await other.client.signOut()
  })
})
