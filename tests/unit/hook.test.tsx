import { act, cleanup, fireEvent, render, renderHook, screen } from '@testing-library/react'
import { StrictMode, useState } from 'react'
import { hydrateRoot } from 'react-dom/client'
import { renderToString } from 'react-dom/server'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Client } from '../../js/client.js'
import { LINGER_MS } from '../../js/conversation.js'
import type { CoreUpdate } from '../../js/core.js'
import { ChatProvider, type ChatWithDeliveryOptions, useChatClient, useChatWithDelivery } from '../../js/react/index.js'
import { failureOf, fakeClient, type FakeCore, message, rows } from './fake-core.js'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => {
  cleanup()
  vi.useRealTimers()
})

const tick = (ms = 0) => act(() => vi.advanceTimersByTimeAsync(ms))
const say = (core: FakeCore, ...updates: CoreUpdate[]) => act(() => core.say(...updates))

async function mounted(options: Partial<ChatWithDeliveryOptions> = {}, { strict = false } = {}) {
  const fake = fakeClient()
  const renders: ReturnType<typeof useChatWithDelivery>[] = []
  const hook = renderHook((props: Partial<ChatWithDeliveryOptions>) => {
    const chat = useChatWithDelivery({ bookingId: 'a', client: fake.client, ...options, ...props })
    renders.push(chat)
    return chat
  }, { initialProps: {}, reactStrictMode: strict })
  await tick()
  return { ...fake, hook, renders, core: fake.core(), chat: () => hook.result.current }
}

const contents = (chat: { messages: readonly { content: string }[] }) => chat.messages.map(({ content }) => content)

describe('useChatWithDelivery', () => {
  it('shows the conversation, the connection and what is pending', async () => {
    const { core, chat } = await mounted()
    expect(core.names()).toEqual(['start', 'open'])
    expect(chat()).toMatchObject({ messages: [], isLoading: true, connectionStatus: 'connecting', syncState: 'catching_up' })
    say(core, rows('a', [1, 'm1']), { type: 'loaded', conversation_id: 'a' }, { type: 'connection', status: 'connected' },
      { type: 'sync', conversation_id: 'a', state: 'live' }, { type: 'pending', total: 3, conversations: { a: 2, b: 1 } })
    expect(chat()).toMatchObject({
      messages: [{ id: 'm1' }], isLoading: false, error: null, connectionStatus: 'connected', syncState: 'live', pendingMessagesCount: 2,
    })
  })

  it('renders once per batch, and not at all when nothing changed', async () => {
    const { core, renders } = await mounted()
    const before = renders.length
    say(core, rows('a', [1, 'm1']), rows('a', [2, 'm2']), { type: 'loaded', conversation_id: 'a' }, { type: 'connection', status: 'connected' })
    expect(renders.length).toBe(before + 1)
    say(core, rows('a', [1, 'm1']), rows('b', [1, 'x']), { type: 'connection', status: 'connected' })
    expect(renders.length).toBe(before + 1)
  })

  it('does not render for what is pending or wrong elsewhere', async () => {
    const { core, renders } = await mounted()
    const before = renders.length
    say(core, { type: 'pending', total: 1, conversations: { b: 1 } })
    say(core, { type: 'storage', durable: true }, { type: 'problem', conversation_id: 'b', error: { code: 'forbidden', message: 'no' } })
    expect(renders.length).toBe(before)
  })

  it('names who is there and who types', async () => {
    const { core, chat, renders } = await mounted()
    const anna = { user_id: 'anna', role: 'client', typing: true }
    const ben = { user_id: 'ben', role: 'guest', typing: false }
    expect(chat()).toMatchObject({ people: [], typingUsers: [] })
    say(core, { type: 'people', conversation_id: 'a', people: [anna, ben] })
    expect(chat()).toMatchObject({ people: [anna, ben], typingUsers: [anna] })
    const { typingUsers } = renders.at(-1)!
    say(core, rows('a', [1, 'm1']))
    expect(chat().typingUsers).toBe(typingUsers)
    chat().setTyping()
    expect(core.calls.at(-1)).toEqual(['typing', 'a', true])
  })

  it('keeps one subscription in StrictMode', async () => {
    const { core, cores, hook } = await mounted({}, { strict: true })
    await tick(LINGER_MS * 2)
    expect(cores).toHaveLength(1)
    expect(core.names()).toEqual(['start', 'open'])
    hook.unmount()
    await tick(LINGER_MS * 3)
    expect(core.names()).toEqual(['start', 'open', 'close', 'shutdown', 'free'])
  })

  it('has stable functions for the same booking', async () => {
    const { core, renders } = await mounted()
    say(core, rows('a', [1, 'm1']))
    say(core, { type: 'connection', status: 'connected' })
    const names = ['sendMessage', 'cancelMessage', 'editMessage', 'discardMessage', 'retryFailedMessages', 'clearError', 'loadMessages', 'loadOlder', 'setTyping', 'markRead'] as const
    for (const name of names) expect(new Set(renders.map((chat) => chat[name])).size).toBe(1)
  })

  it('never renders a row of the booking before', async () => {
    const { core, hook, renders, chat } = await mounted()
    say(core, rows('a', [1, 'a1']), { type: 'loaded', conversation_id: 'a' })
    renders.length = 0
    hook.rerender({ bookingId: 'b' })
    say(core, rows('a', [2, 'a2']), rows('b', [1, 'b1']))
    expect(renders.flatMap(contents)).not.toContain('a1')
    expect(renders[0]).toMatchObject({ messages: [], isLoading: true })
    expect(contents(chat())).toEqual(['b1'])
    hook.rerender({ bookingId: '' })
    expect(chat()).toMatchObject({ messages: [], isLoading: false, error: null, pendingMessagesCount: 0 })
    await tick(LINGER_MS)
    expect(core.calls.filter(([name]) => name !== 'start')).toEqual([['open', 'a'], ['open', 'b'], ['close', 'a'], ['close', 'b']])
  })

  it('sends to the booking of its render when the selection changes in the same tick', async () => {
    const { client, core } = fakeClient()
    function Dashboard() {
      const [bookingId, select] = useState('a')
      const { sendMessage } = useChatWithDelivery({ bookingId, client })
      return <button onClick={() => { select('b'); void sendMessage('for a') }}>send</button>
    }
    render(<Dashboard />)
    await tick()
    fireEvent.click(screen.getByRole('button'))
    await tick()
    expect(core().calls.filter(([name]) => name === 'send')).toEqual([['send', 'a', 'for a', 'text', {}]])
  })

  it('sends with a type and metadata, and resolves when the message is persisted', async () => {
    const { core, chat } = await mounted()
    const sent = chat().sendMessage('hello', 'note', { metadata: { n: 1 } })
    expect(core.calls.at(-1)).toEqual(['send', 'a', 'hello', 'note', { n: 1 }])
    await expect(sent).resolves.toMatchObject({ id: 'm1', content: 'hello', delivery_status: 'sending' })
    await tick()
  })

  it('shows why a message was not accepted, until the next one is or the error is cleared', async () => {
    const { core, chat } = await mounted()
    core.obliging = false
    const refuse = async (op: number) => {
      const sent = failureOf(chat().sendMessage(''))
      say(core, { type: 'failed', op, error: { code: 'empty_message', message: 'unable to send; because' } })
      expect(await sent).toMatchObject({ code: 'empty_message' })
      await tick()
    }
    await refuse(1)
    expect(chat().error).toMatchObject({ code: 'empty_message' })
    act(() => chat().clearError())
    expect(chat().error).toBeNull()
    await refuse(2)
    expect(chat().error).toMatchObject({ code: 'empty_message' })
    core.obliging = true
    await act(() => chat().sendMessage('hello').then(() => {}))
    expect(chat().error).toBeNull()
  })

  it('shows problems of the conversation and of the client, and clears both', async () => {
    const { core, chat } = await mounted()
    const problem = (conversation_id: string | null, code: string): CoreUpdate =>
      ({ type: 'problem', conversation_id, error: { code, message: code } })
    say(core, problem(null, 'storage_failed'), problem('a', 'forbidden'))
    expect(chat().error).toMatchObject({ code: 'forbidden' })
    expect(chat().isLoading).toBe(false)
    act(() => chat().clearError())
    expect(chat().error).toBeNull()
    say(core, problem('a', 'server'))
    expect(chat().error).toMatchObject({ code: 'server' })
  })

  it('cancels, edits and discards in its own conversation', async () => {
    const { core, chat } = await mounted()
    await act(async () => {
      await chat().cancelMessage('m1')
      await chat().editMessage('m2', 'better')
      await chat().discardMessage('m3')
    })
    expect(core.calls.slice(2)).toEqual([['cancel', 'a', 'm1'], ['edit', 'a', 'm2', 'better'], ['discard', 'a', 'm3']])
  })

  it('loads older pages of its own conversation, and says whether there are more', async () => {
    const { core, chat } = await mounted()
    core.obliging = false
    expect(chat()).toMatchObject({ hasOlder: null, isLoadingOlder: false })
    let page!: Promise<boolean>
    act(() => void (page = chat().loadOlder()))
    expect(core.calls.at(-1)).toEqual(['load_older', 'a'])
    expect(chat().isLoadingOlder).toBe(true)
    say(core, { type: 'history', conversation_id: 'a', has_older: false }, { type: 'done', op: 1, result: { has_older: false } })
    await act(async () => expect(await page).toBe(false))
    expect(chat()).toMatchObject({ hasOlder: false, isLoadingOlder: false })
  })

  it('counts what was refused', async () => {
    const { core, chat } = await mounted()
    const upserts = (['refused', 'parked', undefined] as const).map((phase, order) => (
      { order, message: message({ id: `m${order}`, phase }) }
    ))
    say(core, { type: 'messages', conversation_id: 'a', reset: false, removes: [], upserts })
    expect(chat().refusedMessagesCount).toBe(1)
  })

  it('marks its own conversation as read, for who has turned `autoRead` off', async () => {
    const { core, chat } = await mounted()
    chat().markRead()
    expect(core.calls.at(-1)).toEqual(['mark_read', 'a'])
  })

  it('retries its own conversation', async () => {
    const { core, chat } = await mounted()
    await act(() => chat().retryFailedMessages())
    expect(core.calls.at(-1)).toEqual(['retry', 'a'])
  })

  it('tells the latest onConnectionChange of changes only', async () => {
    const [one, two] = [vi.fn(), vi.fn()]
    const { core, hook } = await mounted({}, { strict: true })
    hook.rerender({ onConnectionChange: one })
    expect(one).not.toHaveBeenCalled()
    say(core, { type: 'connection', status: 'connected' })
    say(core, { type: 'connection', status: 'connected' })
    hook.rerender({ onConnectionChange: two })
    say(core, { type: 'connection', status: 'disconnected' })
    hook.unmount()
    say(core, { type: 'connection', status: 'reconnecting' })
    expect(one.mock.calls).toEqual([['connected']])
    expect(two.mock.calls).toEqual([['disconnected']])
  })

  it('with autoLoad: false opens at loadMessages', async () => {
    const { core, chat, hook } = await mounted({ autoLoad: false })
    expect(chat().isLoading).toBe(false)
    expect(core.names()).toEqual(['start'])
    act(() => void chat().loadMessages())
    expect(chat().isLoading).toBe(true)
    say(core, rows('a', [1, 'm1']), { type: 'loaded', conversation_id: 'a' })
    await tick(LINGER_MS * 2)
    expect(core.names()).toEqual(['start', 'open', 'reload'])
    expect(chat()).toMatchObject({ isLoading: false, messages: [{ id: 'm1' }] })
    hook.rerender({ bookingId: 'b' })
    await tick(LINGER_MS)
    expect(core.names()).toEqual(['start', 'open', 'reload', 'close'])
  })

  it('with autoLoad: false opens also when something is sent', async () => {
    const { core, chat } = await mounted({ autoLoad: false })
    await act(() => chat().sendMessage('hello').then(() => {}))
    await tick(LINGER_MS * 2)
    expect(core.names()).toEqual(['start', 'send', 'open'])
  })

  it('with enableRealtime: false loads once and does not stay open', async () => {
    const { core, chat } = await mounted({ enableRealtime: false })
    say(core, rows('a', [1, 'm1']), { type: 'loaded', conversation_id: 'a' })
    await tick(LINGER_MS * 2)
    expect(core.names()).toEqual(['start', 'open', 'reload', 'close'])
    expect(chat()).toMatchObject({ isLoading: false, messages: [{ id: 'm1' }] })
  })

  it('with enableRealtime: false stays open while its own message is on the way', async () => {
    const { core, chat } = await mounted({ enableRealtime: false })
    await tick(LINGER_MS * 2)
    await act(() => chat().sendMessage('hello').then(() => {}))
    say(core, { type: 'pending', total: 1, conversations: { a: 1 } })
    await tick(LINGER_MS * 2)
    expect(core.names().slice(4)).toEqual(['send', 'open'])
    say(core, rows('a', [1, 'hello']), { type: 'pending', total: 0, conversations: {} })
    await tick(LINGER_MS)
    expect(core.names().slice(4)).toEqual(['send', 'open', 'close'])
    expect(contents(chat())).toEqual(['hello'])
  })

  it("with bookingId '' connects and asks for nothing", async () => {
    const { core, chat } = await mounted({ bookingId: '' })
    say(core, { type: 'connection', status: 'connected' })
    await act(() => chat().loadMessages())
    await act(() => chat().retryFailedMessages())
    expect(core.names()).toEqual(['start'])
    expect(chat()).toMatchObject({ messages: [], isLoading: false, connectionStatus: 'connected' })
    expect(await failureOf(chat().sendMessage('hello'))).toMatchObject({ code: 'invalid_conversation' })
    await tick()
  })

  it('is empty and not loading after a cleanup, and comes back with the next call', async () => {
    const { client, core, cores, chat } = await mounted()
    say(core, rows('a', [1, 'm1']), { type: 'loaded', conversation_id: 'a' })
    await act(() => client.cleanup().then(() => {}))
    expect(chat()).toMatchObject({ messages: [], isLoading: false, connectionStatus: 'disconnected' })
    await act(() => chat().loadMessages())
    expect(cores[1]!.names()).toEqual(['start', 'open', 'reload'])
    say(cores[1]!, rows('a', [1, 'm1']), { type: 'loaded', conversation_id: 'a' })
    expect(contents(chat())).toEqual(['m1'])
  })

  it('may go away while something is awaited, and leaves nothing behind', async () => {
    const { core, chat, hook, client } = await mounted()
    core.obliging = false
    const [sent, reloaded, older] = [chat().sendMessage('hello'), chat().loadMessages(), chat().loadOlder()]
    hook.unmount()
    await tick(LINGER_MS * 3)
    expect(core.names()).not.toContain('shutdown')
    say(core, { type: 'done', op: 1, result: { message: message({ id: 'm1' }) } }, { type: 'done', op: 2, result: undefined },
      { type: 'failed', op: 3, error: { code: 'client_closed', message: 'closed' } })
    expect(await sent).toMatchObject({ id: 'm1' })
    await reloaded
    expect(await failureOf(older)).toMatchObject({ code: 'client_closed' })
    core.obliging = true
    await tick(LINGER_MS * 3)
    expect(core.names().slice(-3)).toEqual(['close', 'shutdown', 'free'])
    expect(client.conversation('a').getSnapshot()).toMatchObject({ messages: [], open: false, error: null, isLoadingOlder: false })
    expect(vi.getTimerCount()).toBe(0)
  })

  it('shows nothing of the booking before that is still on its way', async () => {
    const { core, chat, hook } = await mounted()
    core.obliging = false
    act(() => {
      chat().loadOlder().catch(() => {})
      chat().loadMessages().catch(() => {})
    })
    expect(chat().isLoadingOlder).toBe(true)
    hook.rerender({ bookingId: 'b' })
    expect(chat()).toMatchObject({ isLoadingOlder: false, hasOlder: null })
    say(core, { type: 'history', conversation_id: 'a', has_older: true },
      { type: 'failed', op: 1, error: { code: 'timeout', message: 'late' } }, { type: 'failed', op: 2, error: { code: 'network', message: 'late' } })
    await tick()
    expect(chat()).toMatchObject({ isLoadingOlder: false, hasOlder: null, error: null })
  })

  it('shares one conversation between two components', async () => {
    const { client, core } = fakeClient()
    const Count = () => <i>{useChatWithDelivery({ bookingId: 'a', client }).messages.length}</i>
    const { container } = render(<StrictMode><Count /><Count /></StrictMode>)
    await tick()
    say(core(), rows('a', [1, 'm1']))
    expect(container.textContent).toBe('11')
    expect(core().count('open')).toBe(1)
  })

  it('hydrates what a server rendered without a mismatch', async () => {
    const { client, core } = fakeClient()
    await client.connect()
    client.conversation('a').subscribe(() => {})
    core().say(rows('a', [1, 'm1']), { type: 'loaded', conversation_id: 'a' }, { type: 'connection', status: 'connected' })
    const View = () => {
      const chat = useChatWithDelivery({ bookingId: 'a', client })
      return <p>{`${chat.connectionStatus} ${chat.isLoading} ${chat.messages.length}`}</p>
    }
    const container = document.createElement('div')
    container.innerHTML = renderToString(<View />)
    expect(container.textContent).toBe('connecting true 0')
    const complaint = vi.fn()
    const root = await act(async () => hydrateRoot(container, <View />, { onRecoverableError: complaint }))
    expect(container.textContent).toBe('connected false 1')
    expect(complaint).not.toHaveBeenCalled()
    act(() => root.unmount())
  })
})

describe('ChatProvider', () => {
  it('gives the client to its children and keeps it running', async () => {
    const { client, core } = fakeClient()
    let seen: unknown
    const Child = () => {
      seen = useChatClient()
      return null
    }
    const { unmount } = render(<StrictMode><ChatProvider client={client as Client}><Child /></ChatProvider></StrictMode>)
    await tick(LINGER_MS * 2)
    expect(seen).toBe(client)
    expect(core().names()).toEqual(['start'])
    unmount()
    await tick(LINGER_MS)
    expect(core().names()).toEqual(['start', 'shutdown', 'free'])
  })

  it('or configureChat must be there', () => {
    vi.spyOn(console, 'error').mockImplementation(() => {})
    expect(() => renderHook(() => useChatWithDelivery({ bookingId: 'a' }))).toThrow(expect.objectContaining({ code: 'not_configured' }))
  })
})
