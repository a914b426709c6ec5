'use client'

import { useContext, useEffect, useSyncExternalStore } from 'react'
import type { ChatError } from '../errors.js'
import { getDefaultClient } from '../service.js'
import type { ChatClient, ConnectionState, ConversationsSnapshot } from '../types.js'
import { ChatContext, useClientState } from './context.js'

export interface ConversationsOptions {
  /** Default: the client of `ChatProvider`, else of `configureChat`. */
  client?: ChatClient
}

export interface ConversationsState extends ConversationsSnapshot {
  /** Of the list, else of the client. */
  error: ChatError | null
  connectionStatus: ConnectionState
}

/** All conversations of the user, the latest first, with what is unread and what was said last. */
export function useConversations(options: ConversationsOptions = {}): ConversationsState {
  const provided = useContext(ChatContext)
  const client = options.client ?? provided ?? getDefaultClient()
  const { conversations } = client
  useEffect(() => client.retain(), [client])
  const [connection, error] = useClientState(client)
  const list = useSyncExternalStore(conversations.subscribe, conversations.getSnapshot, conversations.getServerSnapshot)
  return { ...list, error: list.error ?? error, connectionStatus: connection }
}
