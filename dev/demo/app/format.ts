const TIME = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' })
const DAY = new Intl.DateTimeFormat(undefined, { weekday: 'long', day: 'numeric', month: 'long' })
const APPOINTMENT = new Intl.DateTimeFormat(undefined, { weekday: 'short', day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit' })

export const timeOf = (iso: string) => TIME.format(new Date(iso))
export const appointment = (iso: string) => APPOINTMENT.format(new Date(iso))
export const dayKey = (iso: string) => new Date(iso).toDateString()

export function dayName(iso: string): string {
  const key = dayKey(iso)
  if (key === new Date().toDateString()) return 'Today'
  if (key === new Date(Date.now() - 86_400_000).toDateString()) return 'Yesterday'
  return DAY.format(new Date(iso))
}
