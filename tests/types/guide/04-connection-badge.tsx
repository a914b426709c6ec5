import type { ChatWithDelivery } from 'surechat/react'
import { ConnectionStatus } from 'surechat/react/ui'

declare const connectionStatus: ChatWithDelivery['connectionStatus']
declare const pendingMessagesCount: ChatWithDelivery['pendingMessagesCount']
declare const retryFailedMessages: ChatWithDelivery['retryFailedMessages']

// guide
<ConnectionStatus
  status={connectionStatus}
  pendingCount={pendingMessagesCount}
  onRetry={retryFailedMessages}
/>
// end of guide
