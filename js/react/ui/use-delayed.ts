'use client'

import { useEffect, useState } from 'react'

/** What is over within this time was a blip, and is not worth a flash on the screen. */
export const BLIP_MS = 600

/** True once `active` has been true for a while. */
export function useDelayed(active: boolean): boolean {
  const [due, setDue] = useState(false)
  useEffect(() => {
    if (!active) return
    const timer = setTimeout(() => setDue(true), BLIP_MS)
    return () => {
      clearTimeout(timer)
      setDue(false)
    }
  }, [active])
  return active && due
}
