import { memo } from 'react'
import type { ConversationSummary } from 'surechat'
import { type ConversationsState, useConversations } from 'surechat/react'
import type { Booking, Bookings } from './bookings'
import { appointment, dayKey, dayName, timeOf } from './format'
import { words } from './problems'

interface Props extends Pick<Bookings, 'bookings' | 'error'> {
  onRetry: () => void
  chosenId: string | null
  onChoose: Choose
}

type Choose = (id: string, byKeyboard: boolean) => void

interface Line {
  id: string
  booking?: Booking
  chat?: ConversationSummary
}

export function BookingList({ bookings, error, onRetry, chosenId, onChoose }: Props) {
  const list = useConversations()
  // What a conversation is about stands in its booking: without a connection it is not waited for.
  const lines = bookings || error || list.connectionStatus === 'disconnected' ? inOrder(bookings, list) : []
  const known = lines.length > 0
  const listed = !list.isLoading && !list.error

  return (
    <>
      {error && (
        <div className="strip strip-error" role="alert">
          <span>{error}</span>
          <button type="button" className="link" onClick={onRetry}>Try again</button>
        </div>
      )}
      {known && !error && list.sync === 'stale' && list.connectionStatus === 'disconnected' && (
        <p className="hint list-state" role="status">Offline: unread counts are those of before.</p>
      )}
      {known && list.error && list.error.code !== 'unsupported' && (
        <p className="hint list-state" role="status">Unread counts are not known: {words(list.error)}</p>
      )}
      {!known && !error && !bookings && <p className="hint slow" role="status">Loading the bookings…</p>}
      {!known && bookings?.length === 0 && <p className="hint">There are no bookings.</p>}
      <ul className="bookings">
        {lines.map(({ id, booking, chat }) => (
          <Row key={id} id={id} booking={booking} chat={chat} listed={listed} isChosen={id === chosenId} onChoose={onChoose} />
        ))}
      </ul>
    </>
  )
}

interface RowProps extends Line {
  /** What was said in every conversation is known. */
  listed: boolean
  isChosen: boolean
  onChoose: Choose
}

/** Of hundreds of lines, only those that changed are rendered again. */
const Row = memo(function Row({ id, booking, chat, listed, isChosen, onChoose }: RowProps) {
  return (
    <li>
      <button type="button" className="booking" aria-current={isChosen || undefined} onClick={({ detail }) => onChoose(id, detail === 0)}>
        <span className="booking-title">
          <span>{booking?.customer ?? 'Conversation'}</span>
          {booking && <StatusTag status={booking.status} />}
          {chat && chat.role !== 'operator' && <span className="tag">as {chat.role}</span>}
        </span>
        {chat?.last_at && <time className="booking-time" dateTime={chat.last_at}>{moment(chat.last_at)}</time>}
        {booking && <span className="booking-details">{booking.title} · {appointment(booking.starts_at)}</span>}
        <span className="booking-last" data-unread={Boolean(chat?.unread)}>{chat || listed ? lastOf(chat) : '\u00a0'}</span>
        {chat && chat.unread > 0 && (
          <span className="badge">
            {chat.unread > 99 ? '99+' : chat.unread}
            <span className="visually-hidden"> unread</span>
          </span>
        )}
      </button>
    </li>
  )
})

/** The conversations, the latest first; behind them the bookings nobody has written about. */
function inOrder(bookings: Bookings['bookings'], { conversations }: ConversationsState): Line[] {
  const byId = new Map(bookings?.map((booking) => [booking.id, booking]))
  const spoken = conversations.filter(({ id, last_at }) => last_at !== null && (!bookings || byId.has(id)))
  const ids = new Set(spoken.map(({ id }) => id))
  return [
    ...spoken.map((chat) => ({ id: chat.id, chat, booking: byId.get(chat.id) })),
    ...(bookings ?? []).filter(({ id }) => !ids.has(id)).map((booking) => ({ id: booking.id, booking })),
  ]
}

function lastOf(chat?: ConversationSummary): string {
  const last = chat?.last_message
  if (!last) return 'Nothing written yet'
  const who = last.delivery_status ? 'You: ' : ''
  return who + (last.deleted_at ? 'Deleted' : last.content)
}

function moment(iso: string): string {
  return dayKey(iso) === new Date().toDateString() ? timeOf(iso) : dayName(iso)
}

export function StatusTag({ status }: { status: Booking['status'] }) {
  return <span className="tag" data-status={status}>{status}</span>
}
