'use client'

import { createContext, type ReactNode, useContext, useEffect } from 'react'
import { getDefaultClient } from '../service.js'
import type { ChatClient } from '../types.js'

export const ChatContext = createContext<ChatClient | null>(null)

export interface ChatProviderProps {
  client: ChatClient
  children?: ReactNode
}

/** Gives its children a client, and keeps it running: what is unsent goes out on every page it covers. */
export function ChatProvider({ client, children }: ChatProviderProps) {
  useEffect(() => client.retain(), [client])
  return <ChatContext.Provider value={client}>{children}</ChatContext.Provider>
}

/** The client of the nearest `ChatProvider`, else the one `configureChat` made. */
export function useChatClient(): ChatClient {
  return useContext(ChatContext) ?? getDefaultClient()
}
