import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { LINGER_MS } from '../../js/conversation.js'
import { Rows } from '../../js/rows.js'
import { message, rows, startedClient } from './fake-core.js'

const ids = (list: readonly { id: string }[]) => list.map(({ id }) => id)

describe('the rows of a conversation', () => {
  const patch = (upserts: [number, string, string?][], { reset = false, removes = [] as string[] } = {}) => ({
    reset, removes,
    upserts: upserts.map(([order, id, content = id]) => ({ order, message: message({ id, content }) })),
  })

  it('stand in the order of the core, however they arrive', () => {
    const list = new Rows()
    list.apply(patch([[5, 'e'], [1, 'a'], [9, 'i']]))
    list.apply(patch([[3, 'c'], [1.5, 'b'], [10, 'j']]))
    expect(ids(list.list())).toEqual(['a', 'b', 'c', 'e', 'i', 'j'])
  })

  it('move when their order changes, and are there once', () => {
    const list = new Rows()
    list.apply(patch([[1, 'a'], [1e15, 'mine'], [2, 'b']]))
    expect(ids(list.list())).toEqual(['a', 'b', 'mine'])
    list.apply(patch([[3, 'mine'], [4, 'c']]))
    expect(ids(list.list())).toEqual(['a', 'b', 'mine', 'c'])
  })

  it('are removed by id, also among equal orders', () => {
    const list = new Rows()
    list.apply(patch([[1, 'a'], [1, 'b'], [1, 'c'], [2, 'd']]))
    list.apply(patch([], { removes: ['b', 'unknown'] }))
    expect(ids(list.list())).toEqual(['a', 'c', 'd'])
    list.apply(patch([[2, 'a']]))
    expect(ids(list.list())).toEqual(['c', 'd', 'a'])
  })

  it('keep the object of what did not change, even over a reset', () => {
    const list = new Rows()
    list.apply(patch([[1, 'a'], [2, 'b']]))
    const [a, b] = list.list()
    list.apply(patch([[1, 'a'], [2, 'b', 'edited'], [3, 'c']], { reset: true }))
    expect(list.list()[0]).toBe(a)
    expect(list.list()[1]).not.toBe(b)
    expect(list.find('b')!.content).toBe('edited')
  })

  it('are forgotten by a reset', () => {
    const list = new Rows()
    list.apply(patch([[1, 'a'], [2, 'b']]))
    list.apply(patch([[7, 'z']], { reset: true }))
    expect(ids(list.list())).toEqual(['z'])
    expect(list.find('a')).toBeUndefined()
  })

  it('match a sorted model under many random patches', () => {
    let seed = 1
    const random = (n: number) => (seed = (seed * 48271) % 2147483647) % n
    const list = new Rows()
    const model = new Map<string, number>()
    for (let step = 0; step < 300; step++) {
      const removes = [`m${random(60)}`]
      const upserts = Array.from({ length: random(5) }, () => [random(1e6), `m${random(60)}`] as [number, string])
      for (const id of removes) model.delete(id)
      for (const [order, id] of upserts) model.set(id, order)
      list.apply(patch(upserts, { removes }))
      expect(ids(list.list())).toEqual([...model].sort((a, b) => a[1] - b[1]).map(([id]) => id))
    }
  })
})

describe('a conversation', () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  it('is the same object for the same id, numbers included, and for none', async () => {
    const { client } = await startedClient()
    expect(client.conversation(undefined as never)).toBe(client.conversation(''))
    expect(client.conversation('7')).toBe(client.conversation(7 as never))
    expect(client.conversation('7')).not.toBe(client.conversation('8'))
  })

  it('keeps its snapshot until something changes, and tells once per batch', async () => {
    const { client, core } = await startedClient()
    const conversation = client.conversation('a')
    const listener = vi.fn()
    conversation.subscribe(listener)
    core.say(rows('a', [1, 'm1'], [2, 'm2']), rows('a', [3, 'm3']), { type: 'loaded', conversation_id: 'a' })
    expect(listener).toHaveBeenCalledTimes(1)
    const first = conversation.getSnapshot()
    expect(ids(first.messages)).toEqual(['m1', 'm2', 'm3'])

    core.say(rows('a', [2, 'm2']), rows('b', [1, 'other']))
    expect(listener).toHaveBeenCalledTimes(1)
    expect(conversation.getSnapshot()).toBe(first)

    core.say(rows('a', [2, 'm2', 'edited']))
    const second = conversation.getSnapshot()
    expect(second.messages[0]).toBe(first.messages[0])
    expect(second.messages[1]).not.toBe(first.messages[1])
    core.say({ type: 'sync', conversation_id: 'a', state: 'live' })
    expect(conversation.getSnapshot().messages).toBe(second.messages)
  })

  it('is open while anybody is subscribed, and a little longer', async () => {
    const { client, core } = await startedClient()
    const conversation = client.conversation('a')
    const one = conversation.subscribe(() => {})
    const two = conversation.subscribe(() => {})
    one()
    one()
    vi.advanceTimersByTime(LINGER_MS * 2)
    expect(core.names()).toEqual(['start', 'open'])
    two()
    conversation.subscribe(() => {})()
    vi.advanceTimersByTime(LINGER_MS - 1)
    expect(core.count('close')).toBe(0)
    vi.advanceTimersByTime(1)
    expect(core.names()).toEqual(['start', 'open', 'close'])
  })

  it('forgets its rows when nobody looks any more', async () => {
    const { client, core } = await startedClient()
    const conversation = client.conversation('a')
    const off = conversation.subscribe(() => {})
    core.say(rows('a', [1, 'm1']), { type: 'loaded', conversation_id: 'a' })
    off()
    vi.advanceTimersByTime(LINGER_MS)
    expect(conversation.getSnapshot()).toMatchObject({ messages: [], loaded: false, open: false, sync: 'stale' })
  })

  it('loads until its first page is known', async () => {
    const { client, core } = await startedClient()
    const conversation = client.conversation('a')
    expect(conversation.getSnapshot().isLoading).toBe(false)
    conversation.subscribe(() => {})
    expect(conversation.getSnapshot()).toMatchObject({ isLoading: true, sync: 'catching_up' })
    core.say({ type: 'loaded', conversation_id: 'a' }, { type: 'sync', conversation_id: 'a', state: 'live' })
    expect(conversation.getSnapshot()).toMatchObject({ isLoading: false, loaded: true, sync: 'live' })
  })

  it('shows a problem until it has passed, and the same problem as the same object', async () => {
    const { client, core } = await startedClient()
    const conversation = client.conversation('a')
    conversation.subscribe(() => {})
    const problem = (message: string | null) => core.say({
      type: 'problem', conversation_id: 'a', error: message === null ? null : { code: 'schema_missing', message, http_status: 404 },
    })
    problem('unable to sync; because')
    const { error, isLoading } = conversation.getSnapshot()
    expect(error).toMatchObject({ name: 'ChatError', code: 'schema_missing', status: 404, retryable: false })
    expect(isLoading).toBe(false)
    problem('unable to sync; because')
    expect(conversation.getSnapshot().error).toBe(error)
    problem(null)
    expect(conversation.getSnapshot().error).toBeNull()
  })

  it('opens for a reload alone, and keeps what it has while it is watched', async () => {
    const { client, core } = await startedClient()
    const conversation = client.conversation('a')
    const off = conversation.watch(() => {})
    const reloaded = conversation.reload()
    expect(core.names()).toEqual(['start', 'open', 'reload'])
    core.say(rows('a', [1, 'm1']), { type: 'loaded', conversation_id: 'a' })
    await reloaded
    vi.advanceTimersByTime(LINGER_MS)
    expect(core.count('close')).toBe(1)
    expect(ids(conversation.getSnapshot().messages)).toEqual(['m1'])
    off()
    vi.advanceTimersByTime(LINGER_MS)
    expect(conversation.getSnapshot().messages).toEqual([])
  })

  it('loads an older page for everybody who asks meanwhile, and is held open for it', async () => {
    const { client, core } = await startedClient()
    core.obliging = false
    const conversation = client.conversation('a')
    expect(conversation.getSnapshot()).toMatchObject({ hasOlder: null, isLoadingOlder: false })
    const pages = [conversation.loadOlder(), conversation.loadOlder()]
    expect(core.names()).toEqual(['start', 'open', 'load_older'])
    expect(conversation.getSnapshot().isLoadingOlder).toBe(true)
    core.say({ type: 'history', conversation_id: 'a', has_older: true }, rows('a', [1, 'm1']), { type: 'done', op: 1, result: { has_older: true } })
    expect(await Promise.all(pages)).toEqual([true, true])
    expect(conversation.getSnapshot()).toMatchObject({ hasOlder: true, isLoadingOlder: false, messages: [{ id: 'm1' }] })
    const next = conversation.loadOlder()
    core.say({ type: 'history', conversation_id: 'a', has_older: false }, { type: 'done', op: 2, result: { has_older: false } })
    expect(await next).toBe(false)
    expect(conversation.getSnapshot().hasOlder).toBe(false)
    core.say({ type: 'history', conversation_id: 'a', has_older: null })
    expect(conversation.getSnapshot().hasOlder).toBe(null)
    core.say({ type: 'history', conversation_id: 'a', has_older: true })
    await vi.advanceTimersByTimeAsync(LINGER_MS)
    expect(core.count('close')).toBe(1)
    expect(conversation.getSnapshot().hasOlder).toBe(null)
  })

  it('says why an older page did not come to who asked, and shows what it has', async () => {
    const { client, core } = await startedClient()
    core.obliging = false
    const conversation = client.conversation('a')
    const page = conversation.loadOlder()
    core.say({ type: 'failed', op: 1, error: { code: 'offline_history', message: 'unable to load; because' } })
    await expect(page).rejects.toMatchObject({ code: 'offline_history' })
    expect(conversation.getSnapshot()).toMatchObject({ error: null, isLoadingOlder: false })
    expect(await client.conversation('').loadOlder()).toBe(false)
  })

  it('passes markRead on only while it is open', async () => {
    const { client, core } = await startedClient()
    const conversation = client.conversation('a')
    conversation.markRead()
    expect(core.count('mark_read')).toBe(0)
    conversation.subscribe(() => {})
    conversation.markRead()
    expect(core.calls.at(-1)).toEqual(['mark_read', 'a'])
  })

  it("with the id '' is empty and idle, and asks for nothing", async () => {
    const { client, core } = await startedClient()
    const none = client.conversation('')
    none.subscribe(() => {})
    await none.reload()
    await none.retryFailed()
    none.markRead()
    await expect(none.send('hello').persisted).rejects.toMatchObject({ code: 'invalid_conversation' })
    expect(none.getSnapshot()).toMatchObject({ messages: [], isLoading: false, pendingCount: 0 })
    expect(core.names()).toEqual(['start'])
  })
})

describe('people', () => {
  const anna = { user_id: 'anna', role: 'client', typing: false }

  it('are shown as the core tells them, and forgotten when the conversation is closed', async () => {
    vi.useFakeTimers()
    const { client, core } = await startedClient()
    const conversation = client.conversation('a')
    const leave = conversation.subscribe(() => {})
    core.say({ type: 'people', conversation_id: 'a', people: [anna] })
    expect(conversation.getSnapshot().people).toEqual([anna])
    const unwatch = conversation.watch(() => {})
    leave()
    await vi.advanceTimersByTimeAsync(LINGER_MS)
    expect(conversation.getSnapshot().people).toEqual([])
    unwatch()
    vi.useRealTimers()
  })

  it('are forgotten when the core crashes', async () => {
    const { client, core } = await startedClient()
    const conversation = client.conversation('a')
    conversation.subscribe(() => {})
    core.say({ type: 'people', conversation_id: 'a', people: [anna] })
    core.say({ type: 'crashed', message: 'unreachable' })
    expect(conversation.getSnapshot().people).toEqual([])
  })

  it('hear of typing while the conversation is open', async () => {
    const { client, core } = await startedClient()
    const conversation = client.conversation('a')
    conversation.setTyping()
    expect(core.count('typing')).toBe(0)
    conversation.subscribe(() => {})
    conversation.setTyping()
    conversation.setTyping(false)
    expect(core.calls.filter(([name]) => name === 'typing')).toEqual([['typing', 'a', true], ['typing', 'a', false]])
    client.conversation('').setTyping()
    expect(core.count('typing')).toBe(2)
  })
})
