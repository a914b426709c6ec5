import type { ChatWithDelivery } from 'surechat/react'

interface Props extends Pick<ChatWithDelivery, 'people' | 'typingUsers'> {
  /** Who is at the other end. */
  peer: string
}

/** A dot beside the connection while somebody else has the conversation in front of them. */
export function Presence({ people, peer }: Pick<Props, 'people' | 'peer'>) {
  if (people.length === 0) return null
  return <span className="presence"><span className="presence-dot" aria-hidden="true" />{capitalised(peer)} is here</span>
}

/** Always there, so that the page does not move and screen readers hear the change. */
export function TypingLine({ typingUsers, peer }: Pick<Props, 'typingUsers' | 'peer'>) {
  return <p className="typing" role="status" aria-live="polite">{typingUsers.length > 0 && `${capitalised(peer)} is typing…`}</p>
}

const capitalised = (name: string) => name.charAt(0).toUpperCase() + name.slice(1)

/**
 * That what was missed is on its way, if that takes longer than a moment. Without a connection, the badge says what there
 * is to say; while nothing is there yet, the placeholders do.
 */
export function CatchingUp({ syncState, connectionStatus, messages }: ChatWithDelivery) {
  const shown = syncState === 'catching_up' && connectionStatus === 'connected' && messages.length > 0
  return <span className="catching-up" role="status">{shown && <span className="slow">Catching up…</span>}</span>
}
