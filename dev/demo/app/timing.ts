import type { ChatClient, ChatMessage } from 'surechat'

/** User timings, for the performance panel and the smoke test: when a message was sent off, kept and stored. */
export async function timed(sending: () => Promise<ChatMessage>): Promise<ChatMessage> {
  const startTime = performance.now()
  const message = await sending()
  performance.mark('chat:send', { startTime, detail: message.id })
  performance.mark('chat:persisted', { detail: message.id })
  return message
}

export function watchDeliveries(chat: ChatClient): void {
  chat.on('delivery_status', ({ id, status }) => performance.mark(`chat:${status}`, { detail: id }))
}
