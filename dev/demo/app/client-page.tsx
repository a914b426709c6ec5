import { useEffect } from 'react'
import { useChatWithDelivery } from 'surechat/react'
import { ConnectionStatus } from 'surechat/react/ui'
import { StatusTag } from './booking-list'
import { useBookings, useChosenBooking } from './bookings'
import { Conversation } from './conversation'
import { appointment } from './format'
import { CatchingUp, Presence } from './presence'
import { type Session, SignedIn } from './session'

export default function ClientPage() {
  return (
    <>
      <title>Client · surechat demo</title>
      <SignedIn role="client">{(session) => <ClientChat {...session} />}</SignedIn>
    </>
  )
}

function ClientChat({ supabase, signOut, signInAgain }: Session) {
  const { bookings, error, reload } = useBookings(supabase)
  const [chosenId, choose] = useChosenBooking()
  const bookingId = chosenId ?? bookings?.find(({ starts_at }) => Date.parse(starts_at) > Date.now())?.id ?? bookings?.[0]?.id ?? ''
  const booking = bookings?.find(({ id }) => id === bookingId)

  const chat = useChatWithDelivery({ bookingId })
  const { messages, connectionStatus, pendingMessagesCount } = chat

  const newestStatus = messages.findLast(({ message_type }) => message_type === 'system')?.id
  useEffect(() => {
    if (newestStatus) void reload()
  }, [newestStatus, reload])

  return (
    <main className="conversation client">
      <header className="bar">
        <div className="bar-title">
          {booking && bookings && bookings.length > 1 ? (
            <>
              <h1 className="visually-hidden">Chat about your booking</h1>
              <select className="booking-choice" aria-label="Booking" value={bookingId} onChange={(event) => choose(event.target.value)}>
                {bookings.map(({ id, title }) => <option key={id} value={id}>{title}</option>)}
              </select>
            </>
          ) : <h1>{booking?.title ?? 'Your booking'}</h1>}
          <p>{booking && <>{appointment(booking.starts_at)} · <StatusTag status={booking.status} /></>}</p>
        </div>
        <button type="button" className="link" onClick={signOut}>Sign out</button>
      </header>
      <div className="status-bar">
        <ConnectionStatus status={connectionStatus} pendingCount={pendingMessagesCount} />
        <CatchingUp {...chat} />
        <Presence people={chat.people} peer="your operator" />
      </div>
      {error && !booking && (
        <div className="strip strip-error" role="alert">
          <span>{error}</span>
          <button type="button" className="link" onClick={reload}>Try again</button>
        </div>
      )}
      {bookingId === ''
        ? <div className="centred">{bookings && <p>You have no bookings.</p>}</div>
        : <Conversation bookingId={bookingId} peer="your operator" chat={chat} onSignIn={signInAgain} />}
    </main>
  )
}
