import { StrictMode, useEffect, useRef } from 'react'
import { createRoot } from 'react-dom/client'
import { ChatProvider, useChatWithDelivery } from 'surechat/react'
import { ConnectionStatus } from 'surechat/react/ui'
import 'surechat/styles.css'
import { client, report } from '../client.js'

function Chat() {
  const { messages, sendMessage, connectionStatus, pendingMessagesCount, retryFailedMessages } = useChatWithDelivery({ bookingId: 'booking-1' })
  const sent = useRef(false)

  useEffect(() => {
    if (sent.current) return
    sent.current = true
    void report(() => sendMessage('Hello', 'text'))
  }, [sendMessage])

  return (
    <main>
      <ConnectionStatus status={connectionStatus} pendingCount={pendingMessagesCount} onRetry={retryFailedMessages} />
      <ul>{messages.map((message) => <li key={message.id}>{message.content}</li>)}</ul>
    </main>
  )
}

createRoot(document.getElementById('root')!).render(
  <StrictMode>
    <ChatProvider client={client}>
      <Chat />
    </ChatProvider>
  </StrictMode>,
)
