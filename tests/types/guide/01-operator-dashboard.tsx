import { useState } from 'react'

declare const setError: (text: string) => void
declare const newMessage: string
declare const setNewMessage: (text: string) => void
declare const handleSend: () => Promise<void>
export { OperatorDashboard }

// guide
// In components/operator-dashboard.tsx
import { useChatWithDelivery } from 'surechat/react'
import { 
  ConnectionStatus, 
  MessageDeliveryIndicator,
  ChatOfflineBanner,
  PendingMessagesBanner 
} from 'surechat/react/ui'

function OperatorDashboard() {
  const [selectedBooking, setSelectedBooking] = useState<any>(null)
  
  // Use the enhanced chat hook
  const {
    messages,
    sendMessage,
    isLoading,
    error,
    connectionStatus,
    pendingMessagesCount,
    retryFailedMessages,
    clearError
  } = useChatWithDelivery({
    bookingId: selectedBooking?.database_id || '',
    autoLoad: true,
    enableRealtime: true,
    onConnectionChange: (status) => {
      console.log('Connection status changed:', status)
      // Show notification to user
      if (status === 'disconnected') {
        setError('Connection lost. Messages may not be delivered.')
      }
    }
  })

  return (
    <div>
      {/* Connection Status Bar */}
      <div className="p-4 border-b border-white/10">
        <ConnectionStatus
          status={connectionStatus}
          pendingCount={pendingMessagesCount}
          onRetry={retryFailedMessages}
        />
      </div>

      {/* Offline Banner */}
      {connectionStatus === 'disconnected' && (
        <ChatOfflineBanner onRetry={retryFailedMessages} />
      )}

      {/* Pending Messages Banner */}
      <PendingMessagesBanner
        count={pendingMessagesCount}
        onRetry={retryFailedMessages}
      />

      {/* Messages List */}
      <div className="messages">
        {messages.map(msg => (
          <div key={msg.id} className={`message ${msg.sender_role}`}>
            <div className="message-content">
              <p>{msg.content}</p>
            </div>
            
            {/* Delivery Status */}
            <div className="message-footer">
              <span className="timestamp">
                {new Date(msg.created_at).toLocaleTimeString()}
              </span>
              <MessageDeliveryIndicator
                status={msg.delivery_status || 'delivered'}
                retryCount={msg.retry_count}
                onRetry={() => retryFailedMessages()}
              />
            </div>
          </div>
        ))}
      </div>

      {/* Send Message Input */}
      <div className="input">
        <input
          value={newMessage}
          onChange={(e) => setNewMessage(e.target.value)}
          onKeyPress={(e) => e.key === 'Enter' && handleSend()}
        />
        <button onClick={handleSend}>Send</button>
      </div>
    </div>
  )
}
// end of guide
