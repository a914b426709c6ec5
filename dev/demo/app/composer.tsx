import { type ChangeEvent, type FormEvent, type KeyboardEvent, useEffect, useId, useRef, useState } from 'react'
import type { ChatMessage } from 'surechat'
import { timed } from './timing'

/** What was typed but not sent, by conversation: another booking may be looked at in between. */
const drafts = new Map<string, string>()

interface Props {
  draftKey: string
  onSend: (text: string) => Promise<ChatMessage>
  onTyping: (on: boolean) => void
  onLeave?: () => void
}

/** Give it the conversation as `key`, so that no text ends up in another one. */
export function Composer({ draftKey, onSend, onTyping, onLeave }: Props) {
  const [newMessage, setText] = useState(() => drafts.get(draftKey) ?? '')
  const input = useRef<HTMLTextAreaElement>(null)
  const id = useId()

  const setNewMessage = (text: string) => {
    drafts.set(draftKey, text)
    setText(text)
  }

  const handleSend = async () => {
    if (!newMessage.trim()) return

    const messageText = newMessage
    setNewMessage('') // Clear immediately for better UX

    try {
      await timed(() => onSend(messageText))
    } catch (error) {
      console.error('Failed to send:', error)
      const typedSince = drafts.get(draftKey)
      setNewMessage(typedSince ? `${messageText}\n${typedSince}` : messageText)
    }
  }

  useEffect(() => {
    const { style } = input.current!
    style.height = 'auto'
    style.height = `${input.current!.scrollHeight + 2}px`
  }, [newMessage])

  const change = ({ target }: ChangeEvent<HTMLTextAreaElement>) => {
    setNewMessage(target.value)
    onTyping(target.value.trim() !== '')
  }
  const submit = (event: FormEvent) => {
    event.preventDefault()
    void handleSend()
    input.current?.focus()
  }
  const keyDown = (event: KeyboardEvent) => {
    if (event.key === 'Escape' && !event.nativeEvent.isComposing) onLeave?.()
    if (event.key !== 'Enter' || event.shiftKey || event.nativeEvent.isComposing) return
    event.preventDefault()
    void handleSend()
  }

  return (
    <form className="composer" onSubmit={submit}>
      <label className="visually-hidden" htmlFor={id}>Message</label>
      <textarea
        id={id} ref={input} rows={1} value={newMessage} placeholder="Write a message" enterKeyHint="send" autoComplete="off"
        onChange={change} onKeyDown={keyDown} onBlur={() => onTyping(false)}
      />
      <button type="submit" className="button" disabled={!newMessage.trim()}>Send</button>
    </form>
  )
}
