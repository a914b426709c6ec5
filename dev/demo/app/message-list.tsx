import { Fragment, memo, useRef } from 'react'
import type { ChatMessage } from 'surechat'
import type { ChatWithDelivery } from 'surechat/react'
import { MessageDeliveryIndicator } from 'surechat/react/ui'
import { dayKey, dayName, timeOf } from './format'
import { words } from './problems'
import { useStickToBottom } from './use-stick-to-bottom'

const SAME_BREATH_MS = 5 * 60_000

const isOwn = (message: ChatMessage) => message.delivery_status !== undefined
const isSystem = (message: ChatMessage) => message.sender_id === null && !isOwn(message)

function followsOn(message: ChatMessage, previous: ChatMessage | undefined): boolean {
  return previous !== undefined
    && previous.sender_id === message.sender_id
    && Date.parse(message.created_at) - Date.parse(previous.created_at) < SAME_BREATH_MS
}

interface Props {
  chat: ChatWithDelivery
  /** Who is at the other end, for the empty list and for screen readers. */
  peer: string
}

export function MessageList({ chat: { messages, isLoading, syncState, retryFailedMessages }, peer }: Props) {
  const box = useRef<HTMLDivElement>(null)
  const newest = messages.at(-1)
  const { unseen, toBottom } = useStickToBottom(box, newest?.id, newest !== undefined && isOwn(newest))

  return (
    <div className="message-area" data-sync={syncState}>
      <div
        className="messages" ref={box} tabIndex={0}
        role="log" aria-live="polite" aria-label={`Conversation with ${peer}`} aria-busy={isLoading}
      >
        <div className="message-column">
          {messages.length === 0 && (isLoading || syncState === 'catching_up' ? <Loading /> : <Empty known={syncState === 'live'} peer={peer} />)}
          {messages.map((message, index) => {
            const previous = messages[index - 1]
            const newDay = !previous || dayKey(previous.created_at) !== dayKey(message.created_at)
            return (
              <Fragment key={message.id}>
                {newDay && <p className="day"><time dateTime={message.created_at}>{dayName(message.created_at)}</time></p>}
                <Message message={message} peer={peer} followsOn={!newDay && followsOn(message, previous)} onRetry={retryFailedMessages} />
              </Fragment>
            )
          })}
        </div>
      </div>
      {unseen && <button type="button" className="to-newest" onClick={toBottom}>New messages <span aria-hidden="true">↓</span></button>}
    </div>
  )
}

interface MessageProps {
  message: ChatMessage
  peer: string
  followsOn: boolean
  onRetry: () => void
}

const Message = memo(function Message({ message, peer, followsOn, onRetry }: MessageProps) {
  const side = isSystem(message) ? 'system' : isOwn(message) ? 'own' : 'other'
  const status = message.delivery_status
  return (
    <article
      className="message" data-side={side} data-follows={followsOn || undefined}
      data-id={message.id} data-role={message.sender_role} data-status={status}
      aria-label={side === 'system' ? undefined : `${side === 'own' ? 'You' : peer}, ${timeOf(message.created_at)}`}
    >
      <div className="bubble">
        {message.deleted_at
          ? <p className="content deleted">This message was deleted.</p>
          : <p className="content">{message.content}</p>}
        <div className="message-footer">
          {message.edited_at && !message.deleted_at && <span>edited</span>}
          <time dateTime={message.created_at}>{timeOf(message.created_at)}</time>
          {status && status !== 'failed' && <MessageDeliveryIndicator status={status} retryCount={message.retry_count} />}
        </div>
      </div>
      {status === 'failed' && (
        <p className="not-sent">
          <span>Not sent. {message.failure && words(message.failure)}</span>
          <MessageDeliveryIndicator status={status} retryCount={message.retry_count} onRetry={onRetry} />
        </p>
      )}
    </article>
  )
})

/** While the server cannot be asked, nobody knows whether there are messages. */
function Empty({ known, peer }: { known: boolean; peer: string }) {
  return (
    <div className="empty">
      <p className="empty-title">{known ? 'No messages yet' : 'No messages on this device'}</p>
      <p>{known ? `Write the first one: ${peer} will see it here.` : 'What was said before comes when the connection is back.'}</p>
    </div>
  )
}

function Loading() {
  return (
    <div className="loading slow">
      <p className="visually-hidden">Loading the messages…</p>
      {['other', 'other', 'own', 'other', 'own'].map((side, index) => <div key={index} className="placeholder" data-side={side} />)}
    </div>
  )
}
