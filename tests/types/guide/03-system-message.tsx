declare const bookingId: string
declare const selectedBooking: any
declare const updateStatus: (bookingId: string, status: string) => Promise<void>
export { updateBookingStatus }

// guide
// Send system message when status changes
const updateBookingStatus = async (newStatus: string) => {
  try {
    // Update booking status
    await updateStatus(bookingId, newStatus)
    
    // Send system message via API
    await fetch('/api/messages/system', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({
        bookingId: selectedBooking.database_id,
        content: `🔄 Status updated to: ${newStatus}`,
        metadata: {
          status: newStatus,
          timestamp: new Date().toISOString()
        }
      })
    })
    
  } catch (error) {
    console.error('Failed to update status:', error)
  }
}
// end of guide
