// @vitest-environment node
import { renderToString } from 'react-dom/server'
import { expect, it, vi } from 'vitest'
import { configureChat, realtimeMessageService } from '../../js/index.js'
import { load } from '../../js/loader.js'
import { ChatProvider, useChatWithDelivery } from '../../js/react/index.js'
import { ChatOfflineBanner, ConnectionStatus, MessageDeliveryIndicator, PendingMessagesBanner } from '../../js/react/ui/index.js'
import { failureOf, fakeClient, OPTIONS } from './fake-core.js'

function Chat({ bookingId }: { bookingId: string }) {
  const chat = useChatWithDelivery({ bookingId })
  return (
    <div>
      <ConnectionStatus status={chat.connectionStatus} pendingCount={chat.pendingMessagesCount} />
      <ChatOfflineBanner />
      <PendingMessagesBanner count={3} />
      <MessageDeliveryIndicator status="sent" />
      <p>{chat.isLoading ? 'loading' : 'idle'} {chat.messages.length}</p>
    </div>
  )
}

it('renders on a server without touching the core', () => {
  const { client, cores } = fakeClient()
  const html = renderToString(<ChatProvider client={client}><Chat bookingId="a" /></ChatProvider>)
  expect(html).toContain('Connecting…')
  expect(html).toContain('loading<!-- --> <!-- -->0')
  expect(renderToString(<ChatProvider client={client}><Chat bookingId="" /></ChatProvider>)).toContain('idle<!-- --> <!-- -->0')
  expect(cores).toHaveLength(0)
})

it('collects no conversations on a server', () => {
  const { client } = fakeClient()
  expect(client.conversation('a')).not.toBe(client.conversation('a'))
})

it('never loads the core on a server', async () => {
  const importGlue = vi.fn()
  expect(await failureOf(load(undefined, importGlue))).toMatchObject({
    code: 'wasm_unavailable', retryable: false, message: 'unable to load the chat core; because this is not a browser',
  })
  expect(importGlue).not.toHaveBeenCalled()
})

it('may be configured on a server', () => {
  configureChat(OPTIONS)
  expect(realtimeMessageService.getConnectionStatus()).toBe('connecting')
  expect(renderToString(<Chat bookingId="a" />)).toContain('loading')
})
