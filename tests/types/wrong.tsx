// One wrong use of each export: were the types to vanish, these lines would compile, and this check fail.
import { ChatError, configureChat, createChatClient, getDefaultClient, realtimeMessageService } from 'surechat'
import type {
  ChatClient, ChatClientOptions, ChatEvents, ChatMessage, ClientSnapshot, ConnectionState, Conversation,
  Conversations, ConversationsSnapshot, ConversationSnapshot, ConversationSummary, DeliveryPhase, DeliveryStatus, Draft,
  EndpointSource, Failure, SendHandle, SendOptions, SyncState, TableSource, Unsent, WasmSource,
} from 'surechat'
import { ChatProvider, useChatClient, useChatWithDelivery, useConversations } from 'surechat/react'
import { ChatOfflineBanner, ConnectionStatus, MessageDeliveryIndicator, PendingMessagesBanner } from 'surechat/react/ui'

declare const client: ChatClient
declare const message: ChatMessage
declare const snapshot: ClientSnapshot
declare const conversation: Conversation
declare const shown: ConversationSnapshot
declare const handle: SendHandle
declare const list: ConversationsSnapshot
declare const line: ConversationSummary
const all: Conversations = client.conversations
declare const event: ChatEvents['delivery_status']
const chat = useChatWithDelivery({ bookingId: 'a' })

// @ts-expect-error
configureChat({ url: 'https://x', apiKey: 'key' })
// @ts-expect-error
createChatClient({ url: 'https://x', apiKey: 'key', accessToken: 'token' })
// @ts-expect-error
getDefaultClient().getConnectionStatus() === 'offline'
// @ts-expect-error
realtimeMessageService.addEventListener('conection_status', () => {})
// @ts-expect-error
realtimeMessageService.addEventListener('connection_status', (data) => data.state)
// @ts-expect-error
new ChatError('code')
// @ts-expect-error
const options: ChatClientOptions = { url: 'https://x', apiKey: 'key', accessToken: () => null, autoread: false }
// @ts-expect-error
const table: TableSource = { kind: 'table', columns: { content: null } }
// @ts-expect-error
const endpoint: EndpointSource = { kind: 'endpoint', reads: { kind: 'table' } }
// @ts-expect-error
client.send('a', 'hello')
// @ts-expect-error
client.cleanup().then((unsent) => unsent.length)
// @ts-expect-error
client.signOut().then((unsent) => unsent > 0)
// @ts-expect-error
client.editMessage('a', 'm1')
// @ts-expect-error
message.retryCount
// @ts-expect-error
snapshot.connection = 'connected'
// @ts-expect-error
conversation.getSnapshot().messages.push(message)
// @ts-expect-error
shown.sync === 'synced'
// @ts-expect-error
conversation.cancel()
// @ts-expect-error
list.conversations.push(line)
// @ts-expect-error
line.unread = 0
// @ts-expect-error
line.last_message.content
// @ts-expect-error
all.subscribe()
// @ts-expect-error
useConversations({ bookingId: 'a' })
// @ts-expect-error
useConversations().unread
// @ts-expect-error
handle.delivered
// @ts-expect-error
handle.edit()
// @ts-expect-error
event.status === 'queued'
// @ts-expect-error
const connection: ConnectionState = 'online'
// @ts-expect-error
const phase: DeliveryPhase = 'sent'
// @ts-expect-error
const delivery: DeliveryStatus = 'pending'
// @ts-expect-error
const draft: Draft = { message_type: 'text' }
// @ts-expect-error
const failure: Failure = { code: 'network', message: 'x' }
// @ts-expect-error
const send: SendOptions = { metadata: 'x' }
// @ts-expect-error
const sync: SyncState = 'connected'
// @ts-expect-error
const unsent: Unsent = { unsent: 1 }
// @ts-expect-error
const wasm: WasmSource = null
// @ts-expect-error
useChatClient().connected
// @ts-expect-error
useChatWithDelivery({ bookingId: 7 })
// @ts-expect-error
chat.messages[0].content
// @ts-expect-error
chat.discardMessage()
// @ts-expect-error
chat.sendMessage('hello', { type: 'text' })
// @ts-expect-error
void (<ChatProvider />)
// @ts-expect-error
void (<ConnectionStatus status="online" />)
// @ts-expect-error
void (<MessageDeliveryIndicator status="pending" />)
// @ts-expect-error
void (<ChatOfflineBanner onRetry="retry" />)
// @ts-expect-error
void (<PendingMessagesBanner />)
