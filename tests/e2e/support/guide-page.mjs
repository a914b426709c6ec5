// A page as the guide has it, without JSX, so that Node and a browser render the very same.
import { createElement as h } from 'react'
import { createChatClient } from '../../../pkg/index.js'
import { ChatProvider, useChatWithDelivery } from '../../../pkg/react.js'
import { ChatOfflineBanner, ConnectionStatus, MessageDeliveryIndicator, PendingMessagesBanner } from '../../../pkg/ui.js'

function Chat({ bookingId }) {
  const chat = useChatWithDelivery({ bookingId })
  const { messages, sendMessage, isLoading, connectionStatus, pendingMessagesCount, retryFailedMessages } = chat
  return h('main', { 'data-loading': isLoading },
    h(ConnectionStatus, { status: connectionStatus, pendingCount: pendingMessagesCount, onRetry: retryFailedMessages }),
    connectionStatus === 'disconnected' && h(ChatOfflineBanner, { onRetry: retryFailedMessages }),
    h(PendingMessagesBanner, { count: pendingMessagesCount, onRetry: retryFailedMessages }),
    h('div', { role: 'log' }, messages.map((message) => h('p', { key: message.id },
      h('span', { className: 'content' }, message.content),
      h(MessageDeliveryIndicator, { status: message.delivery_status || 'delivered', retryCount: message.retry_count }),
    ))),
    h('button', { onClick: () => sendMessage('Hello') }, 'Say hello'),
  )
}

export function guidePage({ bookingId, options }) {
  return h(ChatProvider, { client: createChatClient(options) }, h(Chat, { bookingId }))
}
