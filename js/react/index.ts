'use client'

export { ChatProvider, type ChatProviderProps, useChatClient } from './context.js'
export { type ChatWithDelivery, type ChatWithDeliveryOptions, useChatWithDelivery } from './use-chat-with-delivery.js'
export { type ConversationsOptions, type ConversationsState, useConversations } from './use-conversations.js'
