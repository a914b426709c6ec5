'use client'

import { useEffect, useRef } from 'react'
import { ChatProvider, useChatWithDelivery } from 'surechat/react'
import { ConnectionStatus } from 'surechat/react/ui'
import 'surechat/styles.css'
import { client, report } from '../client.js'

function Conversation() {
  const { messages, sendMessage, connectionStatus, pendingMessagesCount } = useChatWithDelivery({ bookingId: 'booking-1' })
  const sent = useRef(false)

  useEffect(() => {
    if (sent.current) return
    sent.current = true
    void report(() => sendMessage('Hello', 'text'))
  }, [sendMessage])

  return (
    <main>
      <ConnectionStatus status={connectionStatus} pendingCount={pendingMessagesCount} />
      <ul>{messages.map((message) => <li key={message.id}>{message.content}</li>)}</ul>
    </main>
  )
}

export function Chat() {
  return <ChatProvider client={client}><Conversation /></ChatProvider>
}
