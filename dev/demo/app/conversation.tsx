import { useState, useSyncExternalStore } from 'react'
import type { ChatError } from 'surechat'
import { type ChatWithDelivery, useChatClient } from 'surechat/react'
import { ChatOfflineBanner, PendingMessagesBanner } from 'surechat/react/ui'
import { Composer } from './composer'
import { MessageList } from './message-list'
import { TypingLine } from './presence'
import { mayReload, words } from './problems'

interface Props {
  bookingId: string
  peer: string
  chat: ChatWithDelivery
  onSignIn: () => Promise<void>
  /** Escape was pressed in the composer. */
  onLeave?: () => void
}

/** Everything below a conversation's header. */
export function Conversation({ bookingId, peer, chat, onSignIn, onLeave }: Props) {
  const { messages, sendMessage, connectionStatus, retryFailedMessages, clearError, loadMessages } = chat
  const { pendingMessagesCount, refusedMessagesCount, syncState, typingUsers, setTyping } = chat
  const client = useChatClient()
  const { durable } = useSyncExternalStore(client.subscribe, client.getSnapshot)
  const retry = () => {
    clearError()
    loadMessages().catch(() => {})
  }
  // That the live channel is refused, the line about live updates says.
  const error = chat.error?.code === 'realtime_refused' && syncState === 'polling' ? null : chat.error
  const isOffline = connectionStatus === 'disconnected'
  const nothingToShow = error !== null && messages.length === 0

  return (
    <>
      <div className="banners">
        {/* Offline Banner */}
        {isOffline && !nothingToShow && (
          <ChatOfflineBanner onRetry={retryFailedMessages} />
        )}

        {/* Pending Messages Banner: while offline the other one says it already */}
        <PendingMessagesBanner
          count={isOffline ? 0 : pendingMessagesCount}
          refusedCount={refusedMessagesCount}
          onRetry={retryFailedMessages}
        />

        {syncState === 'polling' && (
          <p className="strip" role="status">Live updates are out of reach. New messages come all the same, within about ten seconds.</p>
        )}

        {connectionStatus === 'needs_auth' && <SignInStrip onSignIn={onSignIn} />}

        {durable === false && (
          <p className="strip" role="status">This browser keeps no messages: what is unsent is lost when the page closes.</p>
        )}
        {error && !nothingToShow && (
          <div className="strip strip-error" role="alert">
            <span>{words(error)}</span>
            {mayReload(error)
              ? <button type="button" className="link" onClick={() => location.reload()}>Reload the page</button>
              : <button type="button" className="link" onClick={clearError}>Dismiss</button>}
          </div>
        )}
      </div>
      {nothingToShow
        ? <Failed error={error} onRetry={retry} />
        : <MessageList key={bookingId} chat={chat} peer={peer} />}
      <TypingLine typingUsers={typingUsers} peer={peer} />
      <Composer
        key={`composer ${bookingId}`} draftKey={bookingId}
        onSend={(text) => sendMessage(text, 'text')} onTyping={setTyping} onLeave={onLeave}
      />
    </>
  )
}

function SignInStrip({ onSignIn }: Pick<Props, 'onSignIn'>) {
  const [failed, setFailed] = useState(false)
  const signIn = () => onSignIn().then(() => setFailed(false), () => setFailed(true))
  return (
    <div className="strip strip-error" role="alert">
      <span>{failed ? 'Signing in failed.' : 'Your session has ended. What you write is kept.'}</span>
      <button type="button" className="link" onClick={signIn}>Sign in again</button>
    </div>
  )
}

function Failed({ error, onRetry }: { error: ChatError; onRetry: () => void }) {
  return (
    <div className="message-area centred" role="alert">
      <p className="empty-title">The conversation cannot be shown</p>
      <p>{error.code === 'forbidden' ? 'You are not a member of it.' : words(error)}</p>
      {mayReload(error)
        ? <button type="button" className="button" onClick={() => location.reload()}>Reload the page</button>
        : <button type="button" className="button" onClick={onRetry}>Try again</button>}
    </div>
  )
}
