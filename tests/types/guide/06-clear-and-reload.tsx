import { realtimeMessageService } from 'surechat'
import type { ChatWithDelivery } from 'surechat/react'

declare const loadMessages: ChatWithDelivery['loadMessages']

// guide
// Clear message queue and reload
await realtimeMessageService.cleanup()
await loadMessages()
// end of guide
