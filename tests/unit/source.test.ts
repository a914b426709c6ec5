import { describe, expect, it } from 'vitest'
import { Client } from '../../js/client.js'
import { ChatError } from '../../js/errors.js'
import type { ChatClientOptions } from '../../js/types.js'
import { OPTIONS, startedClient } from './fake-core.js'

const TABLE = {
  name: 'messages', id: 'id', conversation_id: 'booking_id', sender_role: 'sender_role', content: 'content',
  created_at: 'created_at', message_type: 'message_type', metadata: 'metadata',
}

const configOf = async (options: Partial<ChatClientOptions>) => (await startedClient({ senderRole: 'client', ...options })).core.config

describe('the way in', () => {
  it('is the managed schema unless something else is said', async () => {
    const config = await configOf({})
    expect(config).not.toHaveProperty('table')
    expect(config).not.toHaveProperty('endpoint')
  })

  it('is the guide’s own table, whose names are filled in', async () => {
    expect((await configOf({ source: { kind: 'table' } })).table).toEqual(TABLE)
  })

  it('takes the app’s names, and leaves out what the table lacks', async () => {
    const columns = { conversationId: 'chat_id', content: 'body', senderId: 'author', metadata: null, messageType: undefined }
    const { metadata, ...rest } = TABLE
    expect((await configOf({ source: { kind: 'table', table: 'notes', columns } })).table).toEqual({
      ...rest, name: 'notes', conversation_id: 'chat_id', content: 'body', sender_id: 'author',
    })
  })

  it('is an endpoint, relative to the page, that reads from the managed schema or from a table', async () => {
    const relative = await configOf({ source: { kind: 'endpoint', url: '/api/messages' } })
    expect(relative.endpoint).toBe(globalThis.location ? new URL('/api/messages', location.href).href : '/api/messages')
    expect(relative).not.toHaveProperty('table')
    const absolute = await configOf({ source: { kind: 'endpoint', url: 'https://app.test/api', reads: { kind: 'table' } } })
    expect(absolute).toMatchObject({ endpoint: 'https://app.test/api', table: TABLE })
  })

  it.each([
    ['null', null], ['a name', 'table'], ['another kind', { kind: 'view' }], ['an endpoint without a URL', { kind: 'endpoint' }],
    ['a socket', { kind: 'endpoint', url: 'wss://x/y' }], ['an endpoint that reads from another', { kind: 'endpoint', url: '/a', reads: { kind: 'endpoint', url: '/b' } }],
    ['a table’s name that needs quotes', { kind: 'table', table: 'my messages' }], ['a query', { kind: 'table', table: 'messages?or=(a.eq.b)' }],
    ['an unknown column', { kind: 'table', columns: { seq: 'seq' } }], ['a column that cannot be missing', { kind: 'table', columns: { content: null } }],
    ['a column with an odd name', { kind: 'table', columns: { content: 'a,b' } }],
  ])('that is %s is refused by name', (_, source) => {
    const make = () => new Client({ ...OPTIONS, senderRole: 'client', source } as never, () => Promise.reject())
    expect(make).toThrow(ChatError)
    expect(make).toThrow('`source`')
  })

  it('by a table needs the role that own rows carry', () => {
    const make = (source: ChatClientOptions['source']) => () => new Client({ ...OPTIONS, source } as ChatClientOptions, () => Promise.reject())
    expect(make({ kind: 'table' })).toThrow('`senderRole`')
    expect(make({ kind: 'endpoint', url: '/a', reads: { kind: 'table' } })).toThrow('`senderRole`')
    expect(make({ kind: 'endpoint', url: '/a' })).not.toThrow()
  })
})
