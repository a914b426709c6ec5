import type { SupabaseClient } from '@supabase/supabase-js'
import { useCallback, useEffect, useRef, useState } from 'react'

export const STATUSES = ['requested', 'confirmed', 'completed', 'cancelled'] as const

export interface Booking {
  id: string
  title: string
  customer: string
  status: (typeof STATUSES)[number]
  starts_at: string
}

export interface Bookings {
  /** null until they are known. */
  bookings: readonly Booking[] | null
  error: string | null
  reload: () => Promise<void>
}

export function useBookings(supabase: SupabaseClient): Bookings {
  const [bookings, setBookings] = useState<readonly Booking[] | null>(null)
  const [error, setError] = useState<string | null>(null)
  const latest = useRef(0)

  const reload = useCallback(async () => {
    const request = ++latest.current
    const { data, error } = await supabase.from('bookings').select('id, title, customer, status, starts_at').order('starts_at')
    if (request !== latest.current) return
    setError(error && 'The bookings could not be loaded.')
    if (data) setBookings(data as Booking[])
  }, [supabase])
  useEffect(() => void reload(), [reload])

  return { bookings, error, reload }
}

export async function updateStatus(supabase: SupabaseClient, bookingId: string, status: string): Promise<void> {
  const { error } = await supabase.from('bookings').update({ status }).eq('id', bookingId)
  if (error) throw error
}

const CHANGED = 'popstate'

/** The chosen booking is part of the address, so that Back, a reload and a link lead to it. */
export function useChosenBooking(): [string | null, (id: string | null) => void] {
  const read = () => new URLSearchParams(location.search).get('booking')
  const [id, setId] = useState(read)
  useEffect(() => {
    const changed = () => setId(read())
    addEventListener(CHANGED, changed)
    return () => removeEventListener(CHANGED, changed)
  }, [])
  const choose = useCallback((id: string | null) => {
    const url = new URL(location.href)
    if (id === null) url.searchParams.delete('booking')
    else url.searchParams.set('booking', id)
    history.pushState(null, '', url)
    setId(id)
  }, [])
  return [id, choose]
}
