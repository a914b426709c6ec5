'use client'

import { ActionButton, Banner } from './parts.js'
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
      {onRetry && <ActionButton label={text.retry} onPress={onRetry} />}
    </Banner>
  )
}

export interface PendingMessagesBannerLabels {
  /** `refused` of the `count` messages. */
  message: (count: number, refused: number) => string
  retry: string
}

export interface PendingMessagesBannerProps {
  count: number
  /** How many of them the server refused: these do not wait for it any more. */
  refusedCount?: number
  onRetry?: () => void
  labels?: Partial<PendingMessagesBannerLabels>
  className?: string
}

const messages = (count: number) => (count === 1 ? '1 message' : `${count} messages`)

const PENDING: PendingMessagesBannerLabels = {
  message: (count, refused) => [
    count > refused && `${messages(count - refused)} not sent yet.`,
    refused > 0 && `${messages(refused)} could not be sent.`,
  ].filter(Boolean).join(' '),
  retry: 'Retry',
}

/** Shows while messages are unsent for longer than a moment; nothing at 0. */
export function PendingMessagesBanner({ count, refusedCount = 0, onRetry, labels, className }: PendingMessagesBannerProps) {
  const text = { ...PENDING, ...labels }
  return (
    <Banner kind="pending" className={className} shown={useDelayed(count > 0)}>
      <span>{text.message(count, refusedCount)}</span>
      {onRetry && <ActionButton label={text.retry} onPress={onRetry} />}
    </Banner>
  )
}
