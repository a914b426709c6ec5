import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { ChatEvents } from '../../js/types.js'
import { delivery, failureOf, message, rows, settled, startedClient } from './fake-core.js'

async function recorded() {
  const fake = await startedClient()
  const events: string[] = []
  fake.client.addEventListener('delivery_status', ({ id, status }) => events.push(`${id} ${status}`))
  return { ...fake, events }
}

describe('delivery_status', () => {
  it('tells each state once, sent before delivered', async () => {
    const { core, events } = await recorded()
    core.say(delivery('m1', 'sending'), delivery('m1', 'sending', { retry_count: 1 }))
    core.say(delivery('m1', 'sent'), delivery('m1', 'sent'))
    core.say(delivery('m1', 'delivered'), delivery('m1', 'sent'), delivery('m1', 'delivered'))
    core.say(delivery('m1', 'read'))
    expect(events).toEqual(['m1 sending', 'm1 sent', 'm1 delivered', 'm1 read'])
  })

  it('leaves no tick out when the core skips one', async () => {
    const { core, events } = await recorded()
    core.say(delivery('m1', 'delivered'), delivery('m2', 'sent'), delivery('m2', 'read'))
    expect(events).toEqual(['m1 sent', 'm1 delivered', 'm2 sent', 'm2 delivered', 'm2 read'])
  })

  it('tells of a failure again after a retry, and never after a tick', async () => {
    const { core, events } = await recorded()
    core.say(delivery('m1', 'failed', { retryable: true }), delivery('m1', 'sending'), delivery('m1', 'failed', { retryable: true }))
    core.say(delivery('m1', 'sent'), delivery('m1', 'failed'), delivery('m1', 'sending'))
    expect(events).toEqual(['m1 failed', 'm1 sending', 'm1 failed', 'm1 sent'])
  })

  it('tells once more of a failure that waits for a person by now', async () => {
    const { core, events } = await recorded()
    core.say(delivery('m1', 'sending'), delivery('m1', 'failed', { retryable: true }), delivery('m1', 'failed'), delivery('m1', 'failed'))
    expect(events).toEqual(['m1 sending', 'm1 failed', 'm1 failed'])
  })

  it('carries what the core knows', async () => {
    const { client, core } = await startedClient()
    const seen: ChatEvents['delivery_status'][] = []
    client.on('delivery_status', (event) => void seen.push(event))
    core.say(delivery('m1', 'failed', { retry_count: 3 }))
    expect(seen).toEqual([{
      id: 'm1', conversation_id: 'a', status: 'failed', retry_count: 3,
      failure: { code: 'forbidden', retryable: false, message: 'unable to send; because' },
    }])
  })

  it('comes when the stores already show it', async () => {
    const { client, core } = await startedClient()
    const conversation = client.conversation('a')
    conversation.subscribe(() => {})
    const shown: number[] = []
    client.on('delivery_status', () => void shown.push(conversation.getSnapshot().messages.length))
    core.say(delivery('m1', 'sent'), rows('a', [1, 'm1']))
    expect(shown).toEqual([1])
  })
})

describe('connection_status', () => {
  it('tells each change once, with what was before', async () => {
    const { client, core } = await startedClient()
    const seen: unknown[] = []
    client.addEventListener('connection_status', (data) => void seen.push(data))
    for (const status of ['connecting', 'connected', 'connected', 'disconnected', 'reconnecting'] as const) {
      core.say({ type: 'connection', status })
    }
    expect(seen).toEqual([
      { status: 'connected', previous: 'connecting' },
      { status: 'disconnected', previous: 'connected' },
      { status: 'reconnecting', previous: 'disconnected' },
    ])
  })

  it('may be answered by a call into the client, also while it starts', async () => {
    const { client, core } = await startedClient()
    await client.cleanup()
    client.on('connection_status', () => void client.connect())
    const sent = client.send('a', { content: 'hello' })
    await expect(sent.persisted).resolves.toMatchObject({ content: 'hello' })
    expect(core.names()).toEqual(['start', 'shutdown', 'free'])
  })
})

describe('a listener', () => {
  beforeEach(() => void vi.stubGlobal('reportError', vi.fn()))
  afterEach(() => void vi.unstubAllGlobals())

  it('is called until it is removed, either way', async () => {
    const { client, core } = await startedClient()
    const [one, two] = [vi.fn(), vi.fn()]
    const off = client.on('connection_status', one)
    client.addEventListener('connection_status', two)
    core.say({ type: 'connection', status: 'connected' })
    off()
    client.removeEventListener('connection_status', two)
    core.say({ type: 'connection', status: 'disconnected' })
    expect(one).toHaveBeenCalledTimes(1)
    expect(two).toHaveBeenCalledTimes(1)
  })

  it('that throws is reported, and the others still hear', async () => {
    const { client, core } = await startedClient()
    const broken = new Error('the app is broken')
    const heard = vi.fn()
    client.on('connection_status', () => { throw broken })
    client.on('connection_status', heard)
    client.subscribe(() => { throw broken })
    core.say({ type: 'connection', status: 'connected' })
    expect(heard).toHaveBeenCalledTimes(1)
    expect(vi.mocked(reportError).mock.calls).toEqual([[broken], [broken]])
  })

  it('that throws goes to the console where there is no reportError', async () => {
    vi.stubGlobal('reportError', undefined)
    const log = vi.spyOn(console, 'error').mockImplementation(() => {})
    const { client, core } = await startedClient()
    client.on('delivery_status', () => { throw new Error('the app is broken') })
    core.say(rows('a', [1, 'm1', 'a secret']), delivery('m1', 'sent'))
    expect(log).toHaveBeenCalledTimes(1)
    expect(JSON.stringify(log.mock.calls)).not.toContain('secret')
  })
})

describe('the sent promise', () => {
  const sending = async () => {
    const fake = await startedClient()
    fake.core.obliging = false
    const handle = fake.client.send('a', { content: 'hello' })
    fake.core.say({ type: 'done', op: 1, result: { message: message({ id: 'm1', delivery_status: 'sending' }) } })
    const state = vi.fn()
    handle.sent.then(state, state)
    return { ...fake, handle, state }
  }

  it.each(['sent', 'delivered', 'read'] as const)('resolves when the message is %s', async (status) => {
    const { core, handle } = await sending()
    core.say(delivery('m1', status))
    expect(await handle.sent).toMatchObject({ id: 'm1', delivery_status: status })
  })

  it('resolves with the row that is shown', async () => {
    const { client, core, handle } = await sending()
    client.conversation('a').subscribe(() => {})
    core.say(delivery('m1', 'sent'), rows('a', [4, 'm1']))
    expect(await handle.sent).toBe(client.conversation('a').getSnapshot().messages[0])
  })

  it('waits while the message is parked, and rejects when it is refused', async () => {
    const { core, handle, state } = await sending()
    core.say(delivery('m1', 'failed', { retryable: true }))
    await settled()
    expect(state).not.toHaveBeenCalled()
    core.say(delivery('m1', 'failed'))
    expect(await failureOf(handle.sent)).toMatchObject({ code: 'forbidden', retryable: false })
  })

  it('resolves also when all is told in one batch', async () => {
    const { client, core } = await startedClient()
    core.obliging = false
    const handle = client.send('a', { content: 'hello' })
    core.say(delivery('m1', 'sent'), { type: 'done', op: 1, result: { message: message({ id: 'm1' }) } })
    expect(await handle.sent).toMatchObject({ id: 'm1' })
  })

  it('has a retry that restarts its conversation', async () => {
    const { core, handle } = await sending()
    core.obliging = true
    await handle.retry()
    expect(core.calls.at(-1)).toEqual(['retry', 'a'])
  })
})
