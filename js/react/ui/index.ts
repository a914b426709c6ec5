'use client'

export {
  ChatOfflineBanner, type ChatOfflineBannerLabels, type ChatOfflineBannerProps,
  PendingMessagesBanner, type PendingMessagesBannerLabels, type PendingMessagesBannerProps,
} from './banners.js'
export { ConnectionStatus, type ConnectionStatusLabels, type ConnectionStatusProps } from './connection-status.js'
export {
  MessageDeliveryIndicator, type MessageDeliveryIndicatorLabels, type MessageDeliveryIndicatorProps,
} from './message-delivery-indicator.js'
