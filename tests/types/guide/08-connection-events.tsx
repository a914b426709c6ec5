import { realtimeMessageService } from 'surechat'

// guide
realtimeMessageService.addEventListener('connection_status', (data) => {
  console.log('Connection:', data.status)
  // Update UI or send to analytics
})
// end of guide
