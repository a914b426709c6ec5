import { createChatClient } from 'surechat'

const USER = '6f1c2a54-6f3e-4c57-9a55-0d6e7a3b9c01'
const encode = (/** @type {object} */ value) => btoa(JSON.stringify(value)).replace(/=+$/, '')
const now = Math.floor(Date.now() / 1000)
const token = [encode({ alg: 'HS256', typ: 'JWT' }), encode({ sub: USER, role: 'authenticated', iat: now, exp: now + 3600 }), 'c2ln'].join('.')

/** Nothing listens at this address. */
export const client = createChatClient({ url: 'http://127.0.0.1:1', apiKey: 'key', accessToken: () => token })

/**
 * Connects, sends, and leaves what the client then says in `window.report`.
 * @param {() => Promise<import('surechat').ChatMessage>} send
 */
export async function report(send) {
  await client.connect()
  const { content, delivery_status } = await send()
  Object.assign(window, {
    report: {
      status: client.getConnectionStatus(),
      pending: client.getPendingMessagesCount(),
      durable: client.getSnapshot().durable,
      content,
      delivery_status,
    },
  })
}
