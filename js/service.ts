import { Client } from './client.js'
import { ChatError } from './errors.js'
import { load } from './loader.js'
import type { ChatClient, ChatClientOptions } from './types.js'

let defaultClient: ChatClient | null = null

/** Makes a client. It loads nothing and sends nothing before its first use. */
export function createChatClient(options: ChatClientOptions): ChatClient {
  return new Client(options, async (config, host) => {
    const { Core } = await load(options.wasm)
    return new Core(config, host)
  })
}

/** Makes the client that `realtimeMessageService` and the hooks use when they are given no other. */
export function configureChat(options: ChatClientOptions): ChatClient {
  const next = createChatClient(options)
  void defaultClient?.cleanup()
  defaultClient = next
  return next
}

export function getDefaultClient(): ChatClient {
  if (defaultClient) return defaultClient
  throw new ChatError('not_configured', 'unable to find the chat client; because `configureChat` was not called before')
}

/** The default client, under the name by which an app may know it already. */
export const realtimeMessageService: ChatClient = {
  connect: () => getDefaultClient().connect(),
  retain: () => getDefaultClient().retain(),
  getConnectionStatus: () => getDefaultClient().getConnectionStatus(),
  getPendingMessagesCount: (conversationId) => getDefaultClient().getPendingMessagesCount(conversationId),
  getSnapshot: () => getDefaultClient().getSnapshot(),
  getServerSnapshot: () => getDefaultClient().getServerSnapshot(),
  subscribe: (listener) => getDefaultClient().subscribe(listener),
  addEventListener: (type, listener) => getDefaultClient().addEventListener(type, listener),
  removeEventListener: (type, listener) => getDefaultClient().removeEventListener(type, listener),
  on: (type, listener) => getDefaultClient().on(type, listener),
  get conversations() {
    return getDefaultClient().conversations
  },
  conversation: (id) => getDefaultClient().conversation(id),
  send: (conversationId, draft) => getDefaultClient().send(conversationId, draft),
  cancelMessage: (conversationId, id) => getDefaultClient().cancelMessage(conversationId, id),
  editMessage: (conversationId, id, content) => getDefaultClient().editMessage(conversationId, id, content),
  discardMessage: (conversationId, id) => getDefaultClient().discardMessage(conversationId, id),
  retryFailedMessages: (conversationId) => getDefaultClient().retryFailedMessages(conversationId),
  loadMessages: (conversationId) => getDefaultClient().loadMessages(conversationId),
  cleanup: (options) => getDefaultClient().cleanup(options),
  signOut: (options) => getDefaultClient().signOut(options),
}
