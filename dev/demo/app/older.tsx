import { type RefObject, useCallback, useEffect, useRef, useState } from 'react'
import type { ChatWithDelivery } from 'surechat/react'

interface Props extends Pick<ChatWithDelivery, 'loadOlder' | 'hasOlder' | 'isLoadingOlder' | 'connectionStatus'> {
  /** What scrolls. */
  box: RefObject<HTMLElement | null>
  /** The first entry below. */
  oldest: string | undefined
}

/** The top of a conversation: older messages come when somebody scrolls near it, or asks with the button. */
export function Older({ loadOlder, hasOlder, isLoadingOlder, connectionStatus, box, oldest }: Props) {
  const top = useRef<HTMLDivElement>(null)
  const button = useRef<HTMLButtonElement>(null)
  const [failure, setFailure] = useState<string | null>(null)

  const load = useCallback(async () => {
    setFailure(null)
    const hadFocus = button.current === document.activeElement
    try {
      if (!await loadOlder() && hadFocus) box.current?.focus()
    } catch (error) {
      setFailure((error as { code: string }).code)
    }
  }, [loadOlder, box])

  useEffect(() => setFailure(null), [connectionStatus])

  useEffect(() => {
    if (!hasOlder || isLoadingOlder || failure || oldest === undefined) return
    const near = new IntersectionObserver(([entry]) => {
      if (entry!.isIntersecting) void load()
    }, { root: box.current, rootMargin: '240px 0px 0px' })
    near.observe(top.current!)
    return () => near.disconnect()
  }, [hasOlder, isLoadingOlder, failure, oldest, load, box])

  if (hasOlder === null || oldest === undefined) return null
  return (
    <div className="older" ref={top}>
      {!hasOlder && <p>This is where the conversation begins.</p>}
      {hasOlder && failure && (
        <p role="status">{failure === 'offline_history' || connectionStatus === 'disconnected'
          ? 'Older messages are not on this device: they need a connection.'
          : 'The older messages could not be loaded.'}</p>
      )}
      {hasOlder && (
        <button type="button" className="link" ref={button} aria-disabled={isLoadingOlder} onClick={() => void load()}>
          {isLoadingOlder ? 'Loading older messages…' : failure ? 'Try again' : 'Load older messages'}
        </button>
      )}
    </div>
  )
}
