import type { Booking, Bookings } from './bookings'
import { appointment } from './format'

interface Props extends Pick<Bookings, 'bookings' | 'error'> {
  onRetry: () => void
  chosenId: string | null
  onChoose: (id: string) => void
}

export function BookingList({ bookings, error, onRetry, chosenId, onChoose }: Props) {
  return (
    <>
      {error && (
        <div className="strip strip-error" role="alert">
          <span>{error}</span>
          <button type="button" className="link" onClick={onRetry}>Try again</button>
        </div>
      )}
      {!bookings && !error && <p className="hint slow" role="status">Loading the bookings…</p>}
      {bookings?.length === 0 && <p className="hint">There are no bookings.</p>}
      <ul className="bookings">
        {bookings?.map((booking) => (
          <li key={booking.id}>
            <button type="button" className="booking" aria-current={booking.id === chosenId || undefined} onClick={() => onChoose(booking.id)}>
              <span className="booking-title">{booking.title}</span>
              <StatusTag status={booking.status} />
              <span className="booking-details">{booking.customer} · {appointment(booking.starts_at)}</span>
            </button>
          </li>
        ))}
      </ul>
    </>
  )
}

export function StatusTag({ status }: { status: Booking['status'] }) {
  return <span className="tag" data-status={status}>{status}</span>
}
