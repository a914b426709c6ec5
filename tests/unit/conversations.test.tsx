import { act, cleanup, renderHook } from '@testing-library/react'
import { renderToString } from 'react-dom/server'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { LINGER_MS } from '../../js/conversation.js'
import type { CoreUpdate } from '../../js/core.js'
import { useConversations } from '../../js/react/index.js'
import type { ConversationSummary } from '../../js/types.js'
import { fakeClient, type FakeCore, message, rows, startedClient } from './fake-core.js'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => {
  cleanup()
  vi.useRealTimers()
})

const tick = (ms = 0) => act(() => vi.advanceTimersByTimeAsync(ms))
const say = (core: FakeCore, ...updates: CoreUpdate[]) => act(() => core.say(...updates))

function line(id: string, last_at: string | null, unread = 0): ConversationSummary {
  const last_message = last_at === null ? null : message({ id: `last-${id}`, conversation_id: id, created_at: last_at })
  return { id, role: 'operator', last_seq: 1, unread, last_message, last_at }
}

function lines(upserts: ConversationSummary[], more: { reset?: boolean; loaded?: boolean; removes?: string[] } = {}): CoreUpdate {
  return { type: 'conversations', reset: false, loaded: true, removes: [], upserts, ...more }
}

const ids = (list: readonly ConversationSummary[]) => list.map(({ id }) => id)

describe('the list of conversations', () => {
  it('stands with the latest first, however the moments are spelt, and what is empty last', async () => {
    const { client, core } = await startedClient()
    client.conversations.subscribe(() => {})
    core.say(lines([
      line('empty-b', null), line('old', '2026-11-23T06:00:00+00:00'), line('empty-a', null),
      line('new', '2026-11-23 08:00:00.123456+00'), line('between', '2026-11-23T09:00:00+02:00'),
    ]))
    expect(ids(client.conversations.getSnapshot().conversations)).toEqual(['new', 'between', 'old', 'empty-a', 'empty-b'])
  })

  it('keeps the object of every line that did not change, the list itself, and tells once per batch', async () => {
    const { client, core } = await startedClient()
    const listener = vi.fn()
    client.conversations.subscribe(listener)
    core.say(lines([line('a', '2026-11-23T06:00:00Z', 2)]), lines([line('b', '2026-11-23T07:00:00Z', 1)]))
    expect(listener).toHaveBeenCalledTimes(1)
    const first = client.conversations.getSnapshot()
    expect(first).toMatchObject({ totalUnread: 3, isLoading: false, error: null })
    core.say(lines([line('a', '2026-11-23T06:00:00Z', 2), line('b', '2026-11-23T07:00:00Z', 1)], { reset: true }))
    expect(client.conversations.getSnapshot()).toBe(first)
    core.say(lines([line('a', '2026-11-23T08:00:00Z', 3)]))
    const second = client.conversations.getSnapshot()
    expect(ids(second.conversations)).toEqual(['a', 'b'])
    expect(second.conversations[1]).toBe(first.conversations[0])
    expect(second.totalUnread).toBe(4)
    core.say(lines([], { removes: ['a'] }))
    expect(ids(client.conversations.getSnapshot().conversations)).toEqual(['b'])
    core.say(lines([line('c', null)], { reset: true }))
    expect(ids(client.conversations.getSnapshot().conversations)).toEqual(['c'])
  })

  it('reads a moment once, however many lines there are', async () => {
    const { client, core } = await startedClient()
    client.conversations.subscribe(() => {})
    const moments = Array.from({ length: 200 }, (_, n) => new Date(Date.UTC(2026, 0, 1, 0, (n * 71) % 200)).toISOString())
    core.say(lines(moments.map((moment, n) => line(`c${n}`, moment))))
    const parse = vi.spyOn(Date, 'parse')
    core.say(lines([line('c7', '2026-11-23T06:00:00Z', 1)]))
    expect(client.conversations.getSnapshot().conversations[0]!.id).toBe('c7')
    expect(parse).toHaveBeenCalledTimes(1)
  })

  it('is kept while anybody is subscribed, and a little longer', async () => {
    const { client, core } = await startedClient()
    const lists = () => core.calls.filter(([name]) => name === 'list').map(([, on]) => on)
    const one = client.conversations.subscribe(() => {})
    const two = client.conversations.subscribe(() => {})
    expect(lists()).toEqual([true])
    one()
    one()
    await tick(LINGER_MS * 2)
    expect(lists()).toEqual([true])
    two()
    client.conversations.subscribe(() => {})()
    await tick(LINGER_MS - 1)
    expect(lists()).toEqual([true])
    await tick(1)
    expect(lists()).toEqual([true, false])
    expect(client.conversations.getSnapshot()).toEqual(client.conversations.getServerSnapshot())
  })

  it('says why there is none, until there is', async () => {
    const { client, core } = await startedClient()
    client.conversations.subscribe(() => {})
    expect(client.conversations.getSnapshot()).toMatchObject({ isLoading: true, error: null, sync: 'catching_up' })
    core.say({ type: 'list', state: 'stale', error: { code: 'network', message: 'unable to load' } })
    expect(client.conversations.getSnapshot()).toMatchObject({ isLoading: false, error: { code: 'network' }, sync: 'stale' })
    core.say(lines([]), { type: 'list', state: 'live', error: null })
    expect(client.conversations.getSnapshot()).toMatchObject({ isLoading: false, error: null, sync: 'live', conversations: [] })
  })

  it('is asked for again by the next core, and shown as stale when the core dies', async () => {
    const { client, core, cores } = await startedClient()
    client.conversations.subscribe(() => {})
    core.say(lines([line('a', null)]))
    core.say({ type: 'crashed', message: 'unreachable' })
    expect(client.conversations.getSnapshot()).toMatchObject({ sync: 'stale', error: { code: 'crashed' } })
    await client.cleanup()
    expect(client.conversations.getSnapshot()).toMatchObject({ conversations: [], isLoading: false, error: null })
    await client.connect()
    expect(cores).toHaveLength(2)
    expect(cores[1]!.calls).toContainEqual(['list', true])
    expect(client.conversations.getSnapshot().isLoading).toBe(true)
  })
})

describe('useConversations', () => {
  it('shows the list, the connection and the errors, and renders once per batch', async () => {
    const { client, core } = fakeClient()
    let renders = 0
    const hook = renderHook(() => {
      renders++
      return useConversations({ client })
    }, { reactStrictMode: false })
    await tick()
    expect(core().names()).toEqual(['start', 'list'])
    expect(hook.result.current).toMatchObject({ conversations: [], isLoading: true, sync: 'catching_up', connectionStatus: 'connecting' })
    const before = renders
    say(core(), lines([line('a', '2026-11-23T06:00:00Z', 2)]), { type: 'list', state: 'live', error: null }, { type: 'connection', status: 'connected' })
    expect(renders).toBe(before + 1)
    expect(hook.result.current).toMatchObject({
      conversations: [{ id: 'a', unread: 2 }], totalUnread: 2, isLoading: false, error: null, sync: 'live', connectionStatus: 'connected',
    })
    say(core(), lines([line('a', '2026-11-23T06:00:00Z', 2)]))
    expect(renders).toBe(before + 1)
    say(core(), { type: 'problem', conversation_id: null, error: { code: 'schema_missing', message: 'no migration' } })
    expect(hook.result.current.error).toMatchObject({ code: 'schema_missing' })
    hook.unmount()
    await tick(LINGER_MS * 3)
    expect(core().names()).toEqual(['start', 'list', 'list', 'shutdown', 'free'])
  })

  it('is asked for once by several components, and kept while one of them is there', async () => {
    const { client, core } = fakeClient()
    const one = renderHook(() => useConversations({ client }))
    const two = renderHook(() => useConversations({ client }))
    await tick()
    say(core(), lines([line('a', null)]))
    expect(one.result.current.conversations).toBe(two.result.current.conversations)
    one.unmount()
    await tick(LINGER_MS * 3)
    expect(core().names()).toEqual(['start', 'list'])
    say(core(), lines([line('b', null)]))
    expect(ids(two.result.current.conversations)).toEqual(['a', 'b'])
    two.unmount()
    await tick(LINGER_MS * 3)
    expect(core().names()).toEqual(['start', 'list', 'list', 'shutdown', 'free'])
    expect(vi.getTimerCount()).toBe(0)
  })

  it('does not render for what is pending, or what is written in an open conversation', async () => {
    const { client, core } = fakeClient()
    let renders = 0
    renderHook(() => {
      renders++
      return useConversations({ client })
    })
    await tick()
    const before = renders
    say(core(), { type: 'pending', total: 1, conversations: { a: 1 } })
    say(core(), rows('a', [1, 'm1']), { type: 'storage', durable: true })
    expect(renders).toBe(before)
  })

  it('is asked for once in StrictMode', async () => {
    const { client, core } = fakeClient()
    renderHook(() => useConversations({ client }), { reactStrictMode: true })
    await tick(LINGER_MS * 2)
    expect(core().names()).toEqual(['start', 'list'])
  })

  it('renders as loading on a server, without a core', () => {
    const { client, cores } = fakeClient()
    const List = () => <p>{useConversations({ client }).isLoading ? 'loading' : 'idle'}</p>
    expect(renderToString(<List />)).toBe('<p>loading</p>')
    expect(cores).toHaveLength(0)
  })
})
