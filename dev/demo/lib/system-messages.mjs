// POST /api/messages/system {bookingId, content, metadata?, id?}: a message of the system, written with the service key.
// The demo asks nobody who they are. A real app lets only those post here who may change the booking.
const LIMIT_BYTES = 256 * 1024
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

const failure = (status, code, message) => ({ status, body: { code, message } })

const isObject = (value) => typeof value === 'object' && value !== null && !Array.isArray(value)

async function read(request) {
  const chunks = []
  let size = 0
  for await (const chunk of request) {
    size += chunk.length
    if (size > LIMIT_BYTES) return null
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}

function check({ bookingId, content, metadata = {}, id }) {
  if (typeof bookingId !== 'string' || bookingId === '' || bookingId.length > 200) return ['invalid_booking', 'bookingId is not an id']
  if (typeof content !== 'string' || content.trim() === '') return ['empty_message', 'content is empty']
  if (Buffer.byteLength(content) > 65536) return ['message_too_large', 'content is longer than 65536 bytes']
  if (content.includes('\0')) return ['invalid_text', 'content has a NUL character']
  if (!isObject(metadata)) return ['invalid_metadata', 'metadata is not an object']
  if (id !== undefined && !UUID.test(id)) return ['invalid_id', 'id is not a UUID']
  return null
}

function parse(text) {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

async function storeInTable({ url, serviceKey }, { bookingId, content, metadata = {}, id }) {
  const answer = await fetch(`${url}/rest/v1/messages`, {
    method: 'POST',
    headers: { apikey: serviceKey, authorization: `Bearer ${serviceKey}`, 'content-type': 'application/json' },
    body: JSON.stringify({ booking_id: bookingId, sender_role: 'system', message_type: 'system', content, metadata, ...(id && { id }) }),
    signal: AbortSignal.timeout(10_000),
  }).catch(() => null)
  return answer?.ok ? { status: 201, body: {} } : failure(502, 'server', `the database did not take the message (${answer?.status ?? 'no answer'})`)
}

/** Resolves with the answer, `{status, body}`. */
export async function postSystemMessage({ url, serviceKey }, request, way) {
  if (request.method !== 'POST') return failure(405, 'method_not_allowed', 'use POST')
  // A foreign page can send a form or plain text here, but no JSON.
  if (!/^application\/json\b/.test(request.headers['content-type'] ?? '')) return failure(415, 'not_json', 'the content type is not application/json')
  const text = await read(request)
  if (text === null) return failure(413, 'message_too_large', 'the request is too large')
  const input = parse(text)
  if (!isObject(input)) return failure(400, 'not_json', 'the body is no JSON object')
  const problem = check(input)
  if (problem) return failure(400, ...problem)

  if (way === 'table') return storeInTable({ url, serviceKey }, input)
  const { bookingId, content, metadata = {}, id } = input
  const answer = await fetch(`${url}/rest/v1/rpc/chat_post_system`, {
    method: 'POST',
    headers: { apikey: serviceKey, authorization: `Bearer ${serviceKey}`, 'content-type': 'application/json' },
    body: JSON.stringify({ conversation_id: bookingId, content, metadata, ...(id && { id }) }),
    signal: AbortSignal.timeout(10_000),
  }).catch(() => null)
  if (!answer?.ok) return failure(502, 'server', `the database did not take the message (${answer?.status ?? 'no answer'})`)

  const [row] = await answer.json()
  if (row.status === 'no_conversation') return failure(404, 'no_conversation', 'there is no conversation of this booking')
  if (row.status !== 'stored' && row.status !== 'duplicate') return failure(409, row.status, 'the message was refused')
  return { status: 201, body: row }
}
