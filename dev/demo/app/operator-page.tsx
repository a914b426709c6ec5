import { type ChangeEvent, useCallback, useEffect, useRef, useState } from 'react'
import { flushSync } from 'react-dom'
import { useChatWithDelivery } from 'surechat/react'
import { ConnectionStatus } from 'surechat/react/ui'
import { type Booking, STATUSES, updateStatus, useBookings, useChosenBooking } from './bookings'
import { BookingList } from './booking-list'
import { Conversation } from './conversation'
import { appointment } from './format'
import { CatchingUp, Presence } from './presence'
import { type Session, SignedIn } from './session'

export default function OperatorPage() {
  return (
    <>
      <title>Operator · surechat demo</title>
      <SignedIn role="operator">{(session) => <OperatorDashboard {...session} />}</SignedIn>
    </>
  )
}

function OperatorDashboard({ supabase, signOut, signInAgain }: Session) {
  const { bookings, error: listError, reload } = useBookings(supabase)
  const [chosenId, choose] = useChosenBooking()
  const selectedBooking = bookings?.find(({ id }) => id === chosenId)
  // Without the list, a conversation that was read before is still there.
  const bookingId = (bookings ? selectedBooking?.id : chosenId) ?? ''

  const chooseFromList = useCallback((id: string, byKeyboard: boolean) => {
    flushSync(() => choose(id))
    // Hundreds of bookings may lie between the chosen one and its conversation.
    if (byKeyboard) document.querySelector<HTMLElement>('.composer textarea')?.focus()
  }, [choose])
  const backToList = () => document.querySelector<HTMLElement>('.booking[aria-current]')?.focus()

  const chat = useChatWithDelivery({
    bookingId,
    autoLoad: true,
    enableRealtime: true,
    onConnectionChange: (status) => {
      if (status === 'connected') void reload()
    },
  })
  const { connectionStatus, pendingMessagesCount, retryFailedMessages } = chat

  const updateBookingStatus = async (booking: Booking, newStatus: string) => {
    await updateStatus(supabase, booking.id, newStatus)
    await reload()

    // Send system message via API
    const answer = await fetch('/api/messages/system', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({
        bookingId: booking.id,
        content: `🔄 Status updated to: ${newStatus}`,
        metadata: {
          status: newStatus,
          timestamp: new Date().toISOString(),
        },
      }),
    })
    if (!answer.ok) throw new Error(`POST /api/messages/system answered ${answer.status}`)
  }

  return (
    <div className="dashboard" data-selected={bookingId !== ''}>
      <nav className="sidebar" aria-label="Bookings">
        <header className="bar">
          <h1>Bookings</h1>
          <button type="button" className="link" onClick={signOut}>Sign out</button>
        </header>
        <BookingList bookings={bookings} error={listError} onRetry={reload} chosenId={chosenId} onChoose={chooseFromList} />
      </nav>
      <main className="conversation">
        {bookingId ? (
          <>
            <header className="bar">
              <button type="button" className="back" aria-label="Back to the bookings" onClick={() => choose(null)}>‹</button>
              <div className="bar-title">
                <h2>{selectedBooking?.customer ?? 'Conversation'}</h2>
                <p>{selectedBooking && `${selectedBooking.title} · ${appointment(selectedBooking.starts_at)}`}</p>
              </div>
              {selectedBooking && <StatusChoice key={bookingId} booking={selectedBooking} onChange={updateBookingStatus} />}
            </header>
            {/* Connection Status Bar */}
            <div className="status-bar">
              <ConnectionStatus
                status={connectionStatus}
                pendingCount={pendingMessagesCount}
                onRetry={retryFailedMessages}
              />
              <CatchingUp {...chat} />
              <Presence people={chat.people} peer={selectedBooking?.customer ?? 'the client'} />
            </div>
            <Conversation bookingId={bookingId} peer={selectedBooking?.customer ?? 'the client'} chat={chat} onSignIn={signInAgain} onLeave={backToList} />
          </>
        ) : (
          <div className="centred">
            {bookings && chosenId && <p className="empty-title">There is no such booking</p>}
            <p>{bookings && bookings.length > 0 && 'Choose a booking to see its conversation.'}</p>
          </div>
        )}
      </main>
    </div>
  )
}

interface StatusChoiceProps {
  booking: Booking
  onChange: (booking: Booking, status: string) => Promise<void>
}

function StatusChoice({ booking, onChange }: StatusChoiceProps) {
  const [changingTo, setChangingTo] = useState<string | null>(null)
  const [failed, setFailed] = useState(false)
  const shown = useRef(true)
  useEffect(() => {
    shown.current = true
    return () => void (shown.current = false)
  }, [])

  const change = async (event: ChangeEvent<HTMLSelectElement>) => {
    const status = event.target.value
    setChangingTo(status)
    setFailed(false)
    try {
      await onChange(booking, status)
    } catch (error) {
      console.error('Failed to update status:', error)
      if (shown.current) setFailed(true)
    } finally {
      if (shown.current) setChangingTo(null)
    }
  }

  return (
    <label className="status-choice">
      <span className={failed ? 'failed' : 'visually-hidden'} role={failed ? 'alert' : undefined}>
        {failed ? 'Not changed' : 'Status'}
      </span>
      <select value={changingTo ?? booking.status} disabled={changingTo !== null} onChange={change}>
        {STATUSES.map((status) => <option key={status}>{status}</option>)}
      </select>
    </label>
  )
}
