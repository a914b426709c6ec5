import type { ChatWithDelivery } from 'surechat/react'

declare const newMessage: string
declare const setNewMessage: (text: string) => void
declare const sendMessage: ChatWithDelivery['sendMessage']
export { handleSend }

// guide
const handleSend = async () => {
  if (!newMessage.trim()) return
  
  const messageText = newMessage
  setNewMessage('') // Clear immediately for better UX
  
  try {
    await sendMessage(messageText, 'text')
    // Message sent! Will show "delivered" when confirmed
  } catch (error) {
    console.error('Failed to send:', error)
    // Message will show as "failed" with retry option
    setNewMessage(messageText) // Restore on error
  }
}
// end of guide
