'use client'

import { Banner, RetryButton } from './parts.js'
import { useDelayed } from './use-delayed.js'

export interface ChatOfflineBannerLabels {
  message: string
  retry: string
}

export interface ChatOfflineBannerProps {
  onRetry?: () => void
  labels?: Partial<ChatOfflineBannerLabels>
  className?: string
}

const OFFLINE: ChatOfflineBannerLabels = {
  message: 'No connection. Your messages are kept and will be sent as soon as it is back.',
  retry: 'Retry',
}

/** Render it while disconnected. It shows after a moment, so that a blip does not flash. */
export function ChatOfflineBanner({ onRetry, labels, className }: ChatOfflineBannerProps) {
  const text = { ...OFFLINE, ...labels }
  return (
    <Banner kind="offline" className={className} shown={useDelayed(true)}>
      <span>{text.message}</span>
      {onRetry && <RetryButton label={text.retry} onRetry={onRetry} />}
    </Banner>
  )
}

export interface PendingMessagesBannerLabels {
  message: (count: number) => string
  retry: string
}

export interface PendingMessagesBannerProps {
  count: number
  onRetry?: () => void
  labels?: Partial<PendingMessagesBannerLabels>
  className?: string
}

const PENDING: PendingMessagesBannerLabels = {
  message: (count) => (count === 1 ? '1 message is waiting to be sent.' : `${count} messages are waiting to be sent.`),
  retry: 'Retry',
}

/** Shows while messages wait for longer than a moment; nothing at 0. */
export function PendingMessagesBanner({ count, onRetry, labels, className }: PendingMessagesBannerProps) {
  const text = { ...PENDING, ...labels }
  return (
    <Banner kind="pending" className={className} shown={useDelayed(count > 0)}>
      <span>{text.message(count)}</span>
      {onRetry && <RetryButton label={text.retry} onRetry={onRetry} />}
    </Banner>
  )
}
