import { Fragment, useRef } from 'react'
import type { ChatMessage } from 'surechat'
import type { ChatWithDelivery } from 'surechat/react'
import { dayKey, dayName } from './format'
import { isOwn, Message } from './message'
import { Older } from './older'
import { useStickToBottom } from './use-stick-to-bottom'

const SAME_BREATH_MS = 5 * 60_000

function followsOn(message: ChatMessage, previous: ChatMessage | undefined): boolean {
  return previous !== undefined
    && previous.sender_id === message.sender_id
    && previous.sender_role === message.sender_role
    && Date.parse(message.created_at) - Date.parse(previous.created_at) < SAME_BREATH_MS
}

interface Props {
  chat: ChatWithDelivery
  /** Who is at the other end, for the empty list and for screen readers. */
  peer: string
}

export function MessageList({ chat, peer }: Props) {
  const { messages, isLoading, syncState, retryFailedMessages, editMessage, cancelMessage, discardMessage } = chat
  const { loadOlder, hasOlder, isLoadingOlder, connectionStatus } = chat
  const acts = { retryFailedMessages, editMessage, cancelMessage, discardMessage }
  const box = useRef<HTMLDivElement>(null)
  const [oldest, newest] = [messages[0]?.id, messages.at(-1)]
  const { unseen, toBottom } = useStickToBottom(box, oldest, newest?.id, newest !== undefined && isOwn(newest))

  return (
    <div className="message-area" data-sync={syncState}>
      <div
        className="messages" ref={box} tabIndex={0}
        role="log" aria-live={isLoadingOlder ? 'off' : 'polite'} aria-label={`Conversation with ${peer}`} aria-busy={isLoading}
      >
        <div className="message-column">
          <Older {...{ loadOlder, hasOlder, isLoadingOlder, connectionStatus, box, oldest }} />
          {messages.length === 0 && (isLoading || syncState === 'catching_up' ? <Loading /> : <Empty known={syncState === 'live' || syncState === 'polling'} peer={peer} />)}
          {messages.map((message, index) => {
            const previous = messages[index - 1]
            const newDay = !previous || dayKey(previous.created_at) !== dayKey(message.created_at)
            return (
              <Fragment key={message.id}>
                {newDay && <p className="day"><time dateTime={message.created_at}>{dayName(message.created_at)}</time></p>}
                <Message message={message} peer={peer} followsOn={!newDay && followsOn(message, previous)} {...acts} />
              </Fragment>
            )
          })}
        </div>
      </div>
      {unseen && <button type="button" className="to-newest" onClick={toBottom}>New messages <span aria-hidden="true">↓</span></button>}
    </div>
  )
}

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
