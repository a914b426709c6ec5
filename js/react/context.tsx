'use client'

import { createContext, type ReactNode, useContext, useEffect, useSyncExternalStore } from 'react'
import { getDefaultClient } from '../service.js'
import type { ChatClient, ClientSnapshot } from '../types.js'

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

/** What the hooks show of the client. What else changes in it, as the count of what is pending, renders nobody. */
export function useClientState(client: ChatClient): [ClientSnapshot['connection'], ClientSnapshot['error']] {
  const connection = useSyncExternalStore(
    client.subscribe, () => client.getSnapshot().connection, () => client.getServerSnapshot().connection,
  )
  const error = useSyncExternalStore(
    client.subscribe, () => client.getSnapshot().error, () => client.getServerSnapshot().error,
  )
  return [connection, error]
}
