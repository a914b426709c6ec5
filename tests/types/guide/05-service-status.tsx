import { realtimeMessageService } from 'surechat'
import type { ChatWithDelivery } from 'surechat/react'

declare const retryFailedMessages: ChatWithDelivery['retryFailedMessages']

// guide
// Check service status
console.log('Status:', realtimeMessageService.getConnectionStatus())
console.log('Pending:', realtimeMessageService.getPendingMessagesCount())

// Force retry
await retryFailedMessages()
// end of guide
