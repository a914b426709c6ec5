'use client'

import { useCallback, useContext, useEffect, useMemo, useRef, useState, useSyncExternalStore } from 'react'
import type { ChatError } from '../errors.js'
import { getDefaultClient } from '../service.js'
import type { ChatClient, ChatMessage, ConnectionState, Person, SyncState } from '../types.js'
import { ChatContext, useClientState } from './context.js'

export interface ChatWithDeliveryOptions {
  /** The conversation. '' stands for none. */
  bookingId: string
  /** Load at once. false: only when `loadMessages` is called. Default true. */
  autoLoad?: boolean
  /** Keep the messages live. false: they change when `loadMessages` is called, and own ones until they are sent. Default true. */
  enableRealtime?: boolean
  onConnectionChange?: (status: ConnectionState) => void
  /** Default: the client of `ChatProvider`, else of `configureChat`. */
  client?: ChatClient
}

export interface ChatWithDelivery {
  messages: readonly ChatMessage[]
  /**
   * Resolves when the message is on disk; rejects only when it was not accepted, so that its text can be given back
   * to the user. It belongs to the `bookingId` of its render.
   */
  sendMessage: (text: string, type?: string, options?: { metadata?: Record<string, unknown> }) => Promise<ChatMessage>
  isLoading: boolean
  error: ChatError | null
  connectionStatus: ConnectionState
  syncState: SyncState
  /** Others who have the conversation open just now, as far as is known. */
  people: readonly Person[]
  /** Those of them who type. */
  typingUsers: readonly Person[]
  /** Tells the others that this user types: call it at every key. It ends by itself, with the message, and with `false`. */
  setTyping: (on?: boolean) => void
  /** With `autoRead: false`: what is shown has been read. */
  markRead: () => void
  /** Of this conversation; failed messages count. */
  pendingMessagesCount: number
  /** Those of them that the server refused: they wait for a person. */
  refusedMessagesCount: number
  /** Deletes an own message, for everybody if it was sent. */
  cancelMessage: (messageId: string) => Promise<void>
  /** Gives an own message another text; rejects when it was not accepted. */
  editMessage: (messageId: string, content: string) => Promise<void>
  /** Gives up what is not sent of a message: usually what was refused. */
  discardMessage: (messageId: string) => Promise<void>
  retryFailedMessages: () => Promise<void>
  clearError: () => void
  loadMessages: () => Promise<void>
  /** Puts a page of older messages before `messages`; resolves with whether there are more. See `Conversation`. */
  loadOlder: () => Promise<boolean>
  /** Whether there are older messages. null: not known. */
  hasOlder: boolean | null
  isLoadingOlder: boolean
}

export function useChatWithDelivery(options: ChatWithDeliveryOptions): ChatWithDelivery {
  const { bookingId, autoLoad = true, enableRealtime = true, onConnectionChange } = options
  const provided = useContext(ChatContext)
  const client = options.client ?? provided ?? getDefaultClient()
  const conversation = useMemo(() => client.conversation(bookingId), [client, bookingId])
  const { id } = conversation

  useConnectionChange(client, onConnectionChange)
  useEffect(() => client.retain(), [client])
  const [connection, clientError] = useClientState(client)

  const [used, setUsed] = useState<string | null>(null)
  const isLive = enableRealtime
    ? autoLoad || used === id
    : used === id && conversation.getSnapshot().pendingCount > 0
  const { messages, ...state } = useSyncExternalStore(
    isLive ? conversation.subscribe : conversation.watch, conversation.getSnapshot, conversation.getServerSnapshot,
  )
  useEffect(() => {
    if (autoLoad && !enableRealtime) void conversation.reload()
  }, [autoLoad, enableRealtime, conversation])

  const typingUsers = useMemo(() => state.people.filter(({ typing }) => typing), [state.people])

  const [cleared, setCleared] = useState<readonly (ChatError | null)[]>([])
  const error = [state.error, clientError].find((error) => error && !cleared.includes(error)) ?? null
  const clearError = useCallback(() => {
    setCleared([conversation.getSnapshot().error, client.getSnapshot().error])
  }, [client, conversation])

  const sendMessage = useCallback<ChatWithDelivery['sendMessage']>((text, type, options) => {
    setUsed(id)
    return conversation.send(text, { message_type: type, metadata: options?.metadata }).persisted
  }, [conversation, id])
  const loadMessages = useCallback(() => {
    setUsed(id)
    return conversation.reload()
  }, [conversation, id])

  return {
    messages,
    sendMessage,
    isLoading: state.isLoading || (autoLoad && id !== '' && !state.open && !state.loaded && !state.error),
    error,
    connectionStatus: connection,
    syncState: state.sync,
    people: state.people,
    typingUsers,
    setTyping: conversation.setTyping,
    markRead: conversation.markRead,
    pendingMessagesCount: state.pendingCount,
    refusedMessagesCount: messages.filter(({ phase }) => phase === 'refused').length,
    cancelMessage: conversation.cancel,
    editMessage: conversation.edit,
    discardMessage: conversation.discard,
    retryFailedMessages: conversation.retryFailed,
    clearError,
    loadMessages,
    loadOlder: conversation.loadOlder,
    hasOlder: state.hasOlder,
    isLoadingOlder: state.isLoadingOlder,
  }
}

function useConnectionChange(client: ChatClient, listener?: (status: ConnectionState) => void) {
  const latest = useRef(listener)
  useEffect(() => {
    latest.current = listener
  })
  useEffect(() => client.on('connection_status', ({ status }) => latest.current?.(status)), [client])
}
