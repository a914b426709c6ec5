'use client'

import type { ReactElement, SVGProps } from 'react'
import type { DeliveryStatus } from '../../types.js'

function Icon(props: SVGProps<SVGSVGElement>) {
  return (
    <svg
      viewBox="0 0 24 16" width="21" height="14" fill="none" stroke="currentColor" strokeWidth="2"
      strokeLinecap="round" strokeLinejoin="round" aria-hidden="true" focusable="false" {...props}
    />
  )
}

export const DELIVERY_ICONS: Record<DeliveryStatus, ReactElement> = {
  sending: <Icon><circle cx="12" cy="8" r="6" /><path d="M12 4.5V8l2.5 1.5" /></Icon>,
  sent: <Icon><path d="m6 8.5 4 4 8-9" /></Icon>,
  delivered: <Icon><path d="m2.5 8.5 4 4 8-9" /><path d="m11.5 11.5 1 1 8-9" /></Icon>,
  read: (
    <Icon>
      <rect x="0" y="0" width="24" height="16" rx="8" fill="currentColor" stroke="none" />
      <g stroke="var(--surechat-on-icon, #fff)"><path d="m4.5 8.5 3 3 6-7" /><path d="m11.5 10.5 1 1 6-7" /></g>
    </Icon>
  ),
  failed: <Icon><path d="m7.5 3.5 9 9m0-9-9 9" /></Icon>,
}
