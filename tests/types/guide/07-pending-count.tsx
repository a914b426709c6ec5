import { realtimeMessageService } from 'surechat'

// guide
const pendingCount = realtimeMessageService.getPendingMessagesCount()
console.log(`${pendingCount} messages pending`)
// end of guide
