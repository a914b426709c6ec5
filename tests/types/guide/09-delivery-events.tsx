import { realtimeMessageService } from 'surechat'

// guide
let sentCount = 0
let deliveredCount = 0

realtimeMessageService.addEventListener('delivery_status', (status) => {
  if (status.status === 'sent') sentCount++
  if (status.status === 'delivered') deliveredCount++
  
  console.log(`Delivery rate: ${(deliveredCount/sentCount * 100).toFixed(1)}%`)
})
// end of guide
