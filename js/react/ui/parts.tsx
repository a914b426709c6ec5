'use client'

import type { ReactNode } from 'react'

export function classes(...names: (string | undefined)[]): string {
  return names.filter(Boolean).join(' ')
}

export function ActionButton({ label, onPress }: { label: string; onPress: () => void }) {
  return <button type="button" className="surechat-action" onClick={() => onPress()}>{label}</button>
}

/** A live region that stands there before it has anything to say, as screen readers need it. */
export function Banner({ kind, className, shown, children }: {
  kind: string
  className: string | undefined
  shown: boolean
  children: ReactNode
}) {
  return (
    <div role="status" className={shown ? classes('surechat-banner', `surechat-banner-${kind}`, className) : undefined}>
      {shown && children}
    </div>
  )
}
