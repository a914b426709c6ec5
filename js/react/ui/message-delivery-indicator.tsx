'use client'

import type { DeliveryStatus, Failure } from '../../types.js'
import { DELIVERY_ICONS } from './icons.js'
import { ActionButton, classes } from './parts.js'

export interface MessageDeliveryIndicatorLabels extends Record<DeliveryStatus, string> {
  retries: (count: number) => string
  failure: (failure: Failure) => string
  retry: string
  discard: string
}

export interface MessageDeliveryIndicatorProps {
  status: DeliveryStatus
  retryCount?: number
  onRetry?: () => void
  /** Offered for a message that was refused: it does not go out by itself. Needs `failure`. */
  onDiscard?: () => void
  failure?: Failure | null
  labels?: Partial<MessageDeliveryIndicatorLabels>
  className?: string
}

const LABELS: MessageDeliveryIndicatorLabels = {
  sending: 'Sending',
  sent: 'Sent',
  delivered: 'Delivered',
  read: 'Read',
  failed: 'Failed',
  retries: (count) => (count === 1 ? '1 retry' : `${count} retries`),
  failure: (failure) => failure.message,
  retry: 'Retry',
  discard: 'Discard',
}

/** The state of one message as an icon with a name. Only a failure is announced: ticks would be noise. */
export function MessageDeliveryIndicator(props: MessageDeliveryIndicatorProps) {
  const { status, retryCount = 0, onRetry, onDiscard, failure, labels, className } = props
  const text = { ...LABELS, ...labels }
  const isOpen = status === 'sending' || status === 'failed'
  const name = [
    text[status],
    isOpen && retryCount > 0 && `(${text.retries(retryCount)})`,
    status === 'failed' && failure && `– ${text.failure(failure)}`,
  ].filter(Boolean).join(' ')
  return (
    <span
      className={classes('surechat-delivery', className)} data-status={status}
      aria-live={status === 'failed' ? 'polite' : 'off'}
    >
      <span role="img" aria-label={name} title={name} className="surechat-icon">{DELIVERY_ICONS[status]}</span>
      {status === 'failed' && onRetry && <ActionButton label={text.retry} onPress={onRetry} />}
      {status === 'failed' && onDiscard && failure?.retryable === false && <ActionButton label={text.discard} onPress={onDiscard} />}
    </span>
  )
}
