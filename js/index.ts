export { ChatError } from './errors.js'
export { configureChat, createChatClient, getDefaultClient, realtimeMessageService } from './service.js'
export type {
  ChatClient, ChatClientOptions, ChatEvents, ChatListener, ChatMessage, ClientSnapshot, ConnectionState, Conversation,
  Conversations, ConversationsSnapshot, ConversationSnapshot, ConversationSummary, DeliveryPhase, DeliveryStatus, Draft,
  EndpointSource, Failure, Person, SendHandle, SendOptions, SyncState, TableSource, Unsent, WasmSource,
} from './types.js'
