// Phoenix frames as Supabase Realtime speaks them: version 1.0.0 (JSON objects) and 2.0.0 (JSON arrays, and binary
// frames for broadcasts: kind 3 from the client, kind 4 from the server).

export const VERSIONS = ['1.0.0', '2.0.0']

const KIND_PUSH = 3
const KIND_BROADCAST = 4

/** JSON text that is passed on as it is, so that no number loses digits on the way. */
export class RawJson {
  constructor(text) {
    this.text = text
  }
}

function json(value) {
  return value instanceof RawJson ? value.text : JSON.stringify(value)
}

/** A frame as `{joinRef, ref, topic, event, payload}`; broadcasts sent as binary have `binary` too. null: malformed. */
export function decode(version, data, isBinary) {
  try {
    if (isBinary) return version === '2.0.0' ? decodePush(data) : null
    const frame = JSON.parse(data.toString())
    const [joinRef, ref, topic, event, payload] =
      version === '2.0.0' ? frame : [frame.join_ref, frame.ref, frame.topic, frame.event, frame.payload]
    if (typeof topic !== 'string' || typeof event !== 'string' || payload === null || typeof payload !== 'object') return null
    return { joinRef: joinRef ?? null, ref: ref ?? null, topic, event, payload }
  } catch {
    return null
  }
}

function decodePush(data) {
  const lengths = [...data.subarray(1, 6)]
  const encoding = data[6]
  let at = 7
  const [joinRef, ref, topic, event, meta] = lengths.map((length) => data.subarray(at, (at += length)).toString())
  if (data[0] !== KIND_PUSH || at > data.length || encoding > 1) return null
  if (meta !== '') JSON.parse(meta)
  const binary = { event, isJson: encoding === 1, bytes: data.subarray(at) }
  if (binary.isJson) JSON.parse(binary.bytes.toString())
  return { joinRef, ref, topic, event: 'broadcast', payload: null, binary }
}

export function encode(version, { joinRef = null, ref = null, topic, event, payload }) {
  if (version === '2.0.0') return `[${json(joinRef)},${json(ref)},${json(topic)},${json(event)},${json(payload)}]`
  return `{"ref":${json(ref)},"event":${json(event)},"payload":${json(payload)},"topic":${json(topic)}}`
}

/** A broadcast that came as bytes (from the database or a binary push). null: version 1.0.0 has no way to say it. */
export function encodeBroadcast(version, { topic, event, isJson, bytes, meta }) {
  if (version === '2.0.0') {
    const parts = [topic, event, meta ? JSON.stringify(meta) : ''].map((text) => Buffer.from(text))
    const header = Buffer.from([KIND_BROADCAST, ...parts.map((part) => part.length), isJson ? 1 : 0])
    return Buffer.concat([header, ...parts, bytes])
  }
  if (!isJson) return null
  const metaText = meta ? `"meta":${json(meta)},` : ''
  const payload = new RawJson(`{"event":${json(event)},${metaText}"payload":${bytes.toString()},"type":"broadcast"}`)
  return encode(version, { topic, event: 'broadcast', payload })
}
