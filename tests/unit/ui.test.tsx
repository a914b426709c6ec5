import { act, cleanup, render, screen } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { ChatOfflineBanner, ConnectionStatus, MessageDeliveryIndicator, PendingMessagesBanner } from '../../js/react/ui/index.js'
import { BLIP_MS } from '../../js/react/ui/use-delayed.js'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => {
  cleanup()
  vi.useRealTimers()
})

const pass = (ms: number) => act(() => vi.advanceTimersByTime(ms))
const retryButton = () => screen.queryByRole('button', { name: 'Retry' })

async function pressesWithKeyboard(onRetry: () => void) {
  vi.useRealTimers()
  const user = userEvent.setup()
  await user.tab()
  expect(document.activeElement).toBe(retryButton())
  await user.keyboard('{Enter}')
  await user.keyboard(' ')
  expect(vi.mocked(onRetry).mock.calls).toEqual([[], []])
}

describe('ConnectionStatus', () => {
  it.each([
    ['connecting', 'Connecting…'], ['connected', 'Connected'], ['reconnecting', 'Reconnecting…'],
    ['disconnected', 'Disconnected'], ['needs_auth', 'Please sign in again'],
  ] as const)('names %s in words, in a live region', (status, words) => {
    const { container } = render(<ConnectionStatus status={status} className="mine" />)
    expect(screen.getByRole('status').textContent).toBe(words)
    const badge = container.firstElementChild!
    expect(badge.className).toBe('surechat-connection mine')
    expect(badge.getAttribute('data-status')).toBe(status)
  })

  it('counts what is pending once it lasts, with a retry button', () => {
    const { rerender } = render(<ConnectionStatus status="connected" pendingCount={1} onRetry={() => {}} />)
    pass(BLIP_MS - 1)
    expect(screen.getByRole('status').textContent).toBe('Connected')
    expect(retryButton()).toBeNull()
    pass(1)
    expect(screen.getByRole('status').textContent).toBe('Connected1 pending')
    expect(retryButton()).not.toBeNull()
    rerender(<ConnectionStatus status="connected" pendingCount={0} onRetry={() => {}} />)
    expect(screen.getByRole('status').textContent).toBe('Connected')
    expect(retryButton()).toBeNull()
  })

  it('retries from the keyboard when disconnected, if there is a way', async () => {
    const onRetry = vi.fn()
    const { rerender } = render(<ConnectionStatus status="disconnected" onRetry={onRetry} />)
    await pressesWithKeyboard(onRetry)
    rerender(<ConnectionStatus status="disconnected" />)
    expect(retryButton()).toBeNull()
  })

  it('speaks other languages', () => {
    render(<ConnectionStatus
      status="disconnected" pendingCount={2} onRetry={() => {}}
      labels={{ disconnected: 'Getrennt', pending: (count) => `${count} wartend`, retry: 'Nochmal' }}
    />)
    pass(BLIP_MS)
    expect(screen.getByRole('status').textContent).toBe('Getrennt2 wartend')
    expect(screen.getByRole('button', { name: 'Nochmal' })).toBeDefined()
  })
})

describe('MessageDeliveryIndicator', () => {
  const drawings = new Map<string, string>()

  it.each([
    ['sending', 'Sending'], ['sent', 'Sent'], ['delivered', 'Delivered'], ['read', 'Read'], ['failed', 'Failed'],
  ] as const)('draws %s in its own way and names it', (status, name) => {
    const { container } = render(<MessageDeliveryIndicator status={status} className="mine" />)
    const icon = screen.getByRole('img', { name })
    expect(icon.title).toBe(name)
    expect(icon.querySelector('svg')!.getAttribute('aria-hidden')).toBe('true')
    expect([...drawings.values()]).not.toContain(icon.innerHTML)
    drawings.set(status, icon.innerHTML)
    expect(container.firstElementChild!.className).toBe('surechat-delivery mine')
    expect(container.firstElementChild!.getAttribute('data-status')).toBe(status)
    expect(retryButton()).toBeNull()
  })

  it('announces a failure, with its reason and its retries, and nothing else', () => {
    const failure = { code: 'network', retryable: true, message: 'the server does not answer' }
    const { container, rerender } = render(<MessageDeliveryIndicator status="sending" retryCount={1} />)
    expect(container.firstElementChild!.getAttribute('aria-live')).toBe('off')
    expect(screen.getByRole('img', { name: 'Sending (1 retry)' })).toBeDefined()
    rerender(<MessageDeliveryIndicator status="failed" retryCount={3} failure={failure} />)
    expect(container.firstElementChild!.getAttribute('aria-live')).toBe('polite')
    expect(screen.getByRole('img').title).toBe('Failed (3 retries) – the server does not answer')
    rerender(<MessageDeliveryIndicator status="sent" retryCount={3} failure={failure} />)
    expect(screen.getByRole('img', { name: 'Sent' })).toBeDefined()
  })

  it('retries a failed message from the keyboard, and only a failed one', async () => {
    const onRetry = vi.fn()
    const { rerender } = render(<MessageDeliveryIndicator status="failed" onRetry={onRetry} />)
    await pressesWithKeyboard(onRetry)
    rerender(<MessageDeliveryIndicator status="sending" onRetry={onRetry} />)
    expect(retryButton()).toBeNull()
  })

  it('offers to discard what was refused, and nothing else', async () => {
    const [onRetry, onDiscard] = [vi.fn(), vi.fn()]
    const failure = { code: 'forbidden', retryable: false, message: 'x' }
    const show = (retryable: boolean) => (
      <MessageDeliveryIndicator status="failed" failure={{ ...failure, retryable }} onRetry={onRetry} onDiscard={onDiscard} />
    )
    const { rerender } = render(show(true))
    expect(screen.queryByRole('button', { name: 'Discard' })).toBeNull()
    rerender(show(false))
    vi.useRealTimers()
    await userEvent.click(screen.getByRole('button', { name: 'Discard' }))
    expect(onDiscard.mock.calls).toEqual([[]])
    expect(onRetry).not.toHaveBeenCalled()
    rerender(<MessageDeliveryIndicator status="sending" failure={failure} onDiscard={onDiscard} />)
    expect(screen.queryByRole('button')).toBeNull()
  })

  it('speaks other languages', () => {
    const failure = { code: 'forbidden', retryable: false, message: 'x' }
    render(<MessageDeliveryIndicator
      status="failed" retryCount={2} failure={failure} onRetry={() => {}}
      labels={{ failed: 'Fehler', retries: (n) => `${n} Versuche`, failure: ({ code }) => code, retry: 'Nochmal' }}
    />)
    expect(screen.getByRole('img', { name: 'Fehler (2 Versuche) – forbidden' })).toBeDefined()
    expect(screen.getByRole('button', { name: 'Nochmal' })).toBeDefined()
  })
})

describe('ChatOfflineBanner', () => {
  it('shows after a moment, in a live region that was there before', async () => {
    const onRetry = vi.fn()
    render(<ChatOfflineBanner onRetry={onRetry} className="mine" />)
    const region = screen.getByRole('status')
    expect(region.textContent).toBe('')
    pass(BLIP_MS)
    expect(screen.getByRole('status')).toBe(region)
    expect(region.textContent).toContain('No connection.')
    expect(region.className).toBe('surechat-banner surechat-banner-offline mine')
    await pressesWithKeyboard(onRetry)
  })

  it('speaks other languages, and needs no button', () => {
    render(<ChatOfflineBanner labels={{ message: 'Keine Verbindung' }} />)
    pass(BLIP_MS)
    expect(screen.getByRole('status').textContent).toBe('Keine Verbindung')
    expect(retryButton()).toBeNull()
  })
})

describe('PendingMessagesBanner', () => {
  it('shows nothing at 0, and counts after a moment', async () => {
    const onRetry = vi.fn()
    const { rerender } = render(<PendingMessagesBanner count={0} onRetry={onRetry} />)
    pass(BLIP_MS * 2)
    expect(screen.getByRole('status').textContent).toBe('')
    expect(screen.getByRole('status').className).toBe('')
    rerender(<PendingMessagesBanner count={1} onRetry={onRetry} />)
    expect(screen.getByRole('status').textContent).toBe('')
    pass(BLIP_MS)
    expect(screen.getByRole('status').textContent).toContain('1 message not sent yet.')
    rerender(<PendingMessagesBanner count={2} onRetry={onRetry} />)
    expect(screen.getByRole('status').textContent).toContain('2 messages not sent yet.')
    await pressesWithKeyboard(onRetry)
    rerender(<PendingMessagesBanner count={0} onRetry={onRetry} />)
    expect(screen.getByRole('status').textContent).toBe('')
  })

  it.each([
    [1, 1, '1 message could not be sent.'],
    [3, 2, '1 message not sent yet. 2 messages could not be sent.'],
    [2, 0, '2 messages not sent yet.'],
  ])('of %d unsent tells %d refused apart', (count, refused, words) => {
    render(<PendingMessagesBanner count={count} refusedCount={refused} />)
    pass(BLIP_MS)
    expect(screen.getByRole('status').textContent).toBe(words)
  })

  it('speaks other languages', () => {
    render(<PendingMessagesBanner count={3} refusedCount={1} labels={{ message: (count, refused) => `${count - refused} warten` }} />)
    pass(BLIP_MS)
    expect(screen.getByRole('status').textContent).toBe('2 warten')
  })
})
