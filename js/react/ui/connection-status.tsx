'use client'

import type { ConnectionState } from '../../types.js'
import { ActionButton, classes } from './parts.js'
import { useDelayed } from './use-delayed.js'

export interface ConnectionStatusLabels extends Record<ConnectionState, string> {
  pending: (count: number) => string
  retry: string
}

export interface ConnectionStatusProps {
  status: ConnectionState
  pendingCount?: number
  onRetry?: () => void
  labels?: Partial<ConnectionStatusLabels>
  className?: string
}

const LABELS: ConnectionStatusLabels = {
  connecting: 'Connecting…',
  connected: 'Connected',
  reconnecting: 'Reconnecting…',
  disconnected: 'Disconnected',
  needs_auth: 'Please sign in again',
  pending: (count) => `${count} pending`,
  retry: 'Retry',
}

/** A badge: green when connected, yellow on the way there, red when not. */
export function ConnectionStatus({ status, pendingCount = 0, onRetry, labels, className }: ConnectionStatusProps) {
  const text = { ...LABELS, ...labels }
  const hasPending = useDelayed(pendingCount > 0)
  return (
    <div className={classes('surechat-connection', className)} data-status={status}>
      <span role="status" className="surechat-badge">
        <span className="surechat-dot" aria-hidden="true" />
        <span>{text[status]}</span>
        {hasPending && <span className="surechat-count">{text.pending(pendingCount)}</span>}
      </span>
      {onRetry && (hasPending || status === 'disconnected') && <ActionButton label={text.retry} onPress={onRetry} />}
    </div>
  )
}
