// A user's inbox on the live channel, by the wire protocol: events come as they come, and may be missing or doubled.
import { once } from 'node:events'
import WebSocket from 'ws'

const READY_MS = 5000
const BROADCAST = 4

/** `{event, payload}` of a broadcast, which comes as bytes; of anything else nothing. */
function broadcastIn(bytes) {
  if (bytes[0] !== BROADCAST) return null
  const [topic, event, meta] = bytes.subarray(1, 4)
  const start = 5 + topic
  return { event: bytes.subarray(start, start + event).toString(), payload: JSON.parse(bytes.subarray(start + event + meta).toString()) }
}

/**
 * Resolves when the channel is joined and the server says that what is committed from now on will be told; rejects when
 * that does not come. `onEvent` may be called before. The answer ends the connection without a word, as a lost network does.
 */
export async function openInbox({ stack, userId, token, onEvent }) {
  const socket = new WebSocket(`${stack.url.replace('http', 'ws')}/realtime/v1/websocket?apikey=${stack.apiKey}&vsn=2.0.0`)
  const late = setTimeout(() => socket.terminate(), READY_MS)
  const closed = once(socket, 'close').then(() => {
    throw new Error('the inbox did not open')
  })
  closed.catch(() => {})
  socket.on('error', () => {})
  const ready = new Promise((resolve) => {
    socket.on('message', (data, isBinary) => {
      if (isBinary) {
        const broadcast = broadcastIn(data)
        if (broadcast) onEvent(broadcast)
      } else {
        const [, , , event, payload] = JSON.parse(data.toString())
        if (event === 'system' && payload.message === 'Replication connection established') resolve()
      }
    })
  })
  socket.on('open', () => {
    const config = { private: true, broadcast: { replication_ready: true } }
    socket.send(JSON.stringify(['1', '1', `realtime:chat-user:${userId}`, 'phx_join', { config, access_token: token }]))
  })
  await Promise.race([ready, closed])
  clearTimeout(late)
  return () => socket.terminate()
}
