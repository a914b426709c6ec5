import { type KeyboardEvent, memo, useRef, useState } from 'react'
import type { ChatMessage } from 'surechat'
import type { ChatWithDelivery } from 'surechat/react'
import { MessageDeliveryIndicator } from 'surechat/react/ui'
import { timeOf } from './format'
import { MessageMenu } from './message-menu'
import { words } from './problems'

export const isOwn = (message: ChatMessage) => message.delivery_status !== undefined
/** Nobody can send under this role: the database sees to that. */
const isSystem = (message: ChatMessage) => message.sender_role === 'system'

interface Props extends Pick<ChatWithDelivery, 'retryFailedMessages' | 'editMessage' | 'cancelMessage' | 'discardMessage'> {
  message: ChatMessage
  peer: string
  followsOn: boolean
}

export const Message = memo(function Message(props: Props) {
  const { message, peer, followsOn, retryFailedMessages, editMessage, cancelMessage, discardMessage } = props
  const [editing, setEditing] = useState(false)
  const article = useRef<HTMLElement>(null)
  const more = useRef<HTMLButtonElement>(null)
  const side = isSystem(message) ? 'system' : isOwn(message) ? 'own' : 'other'
  const status = message.delivery_status
  const isDeleted = message.deleted_at !== null

  // Why it did not work, the conversation shows.
  const remove = (act: (id: string) => Promise<void>) => {
    article.current?.closest<HTMLElement>('[role=log]')?.focus()
    act(message.id).catch(() => {})
  }
  const closeEditor = () => {
    setEditing(false)
    more.current?.focus()
  }

  return (
    <article
      className="message" data-side={side} data-follows={followsOn || undefined} ref={article}
      data-id={message.id} data-role={message.sender_role} data-status={status}
      aria-label={side === 'system' ? undefined : `${side === 'own' ? 'You' : peer}, ${timeOf(message.created_at)}`}
    >
      <div className="bubble-row">
        {side === 'own' && !isDeleted && (
          <MessageMenu
            label="Edit or delete" button={more}
            items={{ Edit: () => setEditing(true), Delete: () => remove(cancelMessage) }}
          />
        )}
        <div className="bubble">
          {isDeleted
            ? <p className="content deleted">Message deleted</p>
            : editing
              ? <Editor text={message.content} onSave={(text) => editMessage(message.id, text)} onClose={closeEditor} />
              : <p className="content">{message.content}</p>}
          <div className="message-footer">
            {message.edited_at && !isDeleted && <span>edited</span>}
            <time dateTime={message.created_at}>{timeOf(message.created_at)}</time>
            {status && status !== 'failed' && <MessageDeliveryIndicator status={status} retryCount={message.retry_count} />}
          </div>
        </div>
      </div>
      {status === 'failed' && (
        <p className="not-sent">
          <span>{message.seq === null ? 'Not sent.' : 'Change not sent.'} {message.failure && words(message.failure)}</span>
          <MessageDeliveryIndicator
            status={status} retryCount={message.retry_count} failure={message.failure}
            onRetry={retryFailedMessages} onDiscard={() => remove(discardMessage)}
          />
        </p>
      )}
    </article>
  )
})

interface EditorProps {
  text: string
  onSave: (text: string) => Promise<void>
  onClose: () => void
}

function Editor({ text, onSave, onClose }: EditorProps) {
  const [edited, setEdited] = useState(text)
  const save = async () => {
    if (!edited.trim()) return
    try {
      if (edited !== text) await onSave(edited)
      onClose()
    } catch (error) {
      console.error('Failed to edit:', error)
    }
  }
  const keyDown = (event: KeyboardEvent) => {
    if (event.key === 'Escape') onClose()
    if (event.key !== 'Enter' || event.shiftKey || event.nativeEvent.isComposing) return
    event.preventDefault()
    void save()
  }
  return (
    <div className="editor">
      <textarea
        aria-label="Edit the message" rows={1} value={edited} autoFocus onChange={(event) => setEdited(event.target.value)}
        onKeyDown={keyDown} onFocus={({ target }) => target.setSelectionRange(text.length, text.length)}
      />
      <div className="editor-buttons">
        <button type="button" className="link" onClick={onClose}>Cancel</button>
        <button type="button" className="link" onClick={save} disabled={!edited.trim()}>Save</button>
      </div>
    </div>
  )
}
