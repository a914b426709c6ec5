import { ChatError, createChatClient } from '/pkg/index.js'

window.events = { connection: [], delivery: [], errors: [] }

window.start = ({ url, apiKey, conversation, options }) => {
  window.client = createChatClient({ url, apiKey, accessToken: () => window.nextToken(), ...options })
  const { client, events } = window
  client.on('connection_status', ({ status }) => events.connection.push(status))
  client.on('delivery_status', (event) => events.delivery.push(event))
  client.on('error', ({ error }) => events.errors.push(error.code))
  window.conversation = client.conversation(conversation)
  window.conversation.subscribe(() => {})
  client.connect().catch(() => {})
}

window.send = (text, conversation) => (conversation ? window.client.conversation(conversation) : window.conversation).send(text)

window.view = () => window.conversation.getSnapshot()

const LIMIT_MS = 20_000

window.outcome = (promise) => Promise.race([
  promise.then(
    (message) => ({ message }),
    (error) => ({ error: { isChatError: error instanceof ChatError, code: error.code, retryable: error.retryable, message: error.message } }),
  ),
  new Promise((_, reject) => setTimeout(() => reject(new Error(`not settled after ${LIMIT_MS} ms`)), LIMIT_MS)),
])
