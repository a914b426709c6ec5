import { createChatClient } from 'surechat'

const client = createChatClient({ url: 'http://127.0.0.1:1', apiKey: 'key', accessToken: () => null })
const before = client.getConnectionStatus()
await client.connect()
window.report = { before, after: client.getConnectionStatus(), pending: client.getPendingMessagesCount() }
