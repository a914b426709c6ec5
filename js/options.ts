import type { CoreConfig } from './core.js'
import { ChatError } from './errors.js'
import { toWay } from './source.js'
import type { ChatClientOptions } from './types.js'

/** Throws `invalid_options`, which names the option. */
export function toConfig(options: ChatClientOptions): CoreConfig {
  const {
    url, apiKey, accessToken, userId, senderRole, resumeOnReconnect = true, autoRead = true, requestTimeoutMs = 10_000,
    requestPersistence = false, ticks = 'any', keepMessages = 50_000, backgroundSync = false, source,
  } = options ?? {}
  const check = (ok: boolean, field: keyof ChatClientOptions, wanted: string) => {
    if (!ok) throw new ChatError('invalid_options', `unable to create the chat client; because \`${field}\` is not ${wanted}`)
  }
  const isName = (value: unknown) => typeof value === 'string' && value !== ''
  check(typeof url === 'string' && /^https?:\/\/[^/]/.test(url), 'url', 'an http(s) URL')
  check(isName(apiKey), 'apiKey', 'a key')
  check(typeof accessToken === 'function', 'accessToken', 'a function')
  check(userId === undefined || isName(userId), 'userId', 'an id')
  check(senderRole === undefined || isName(senderRole), 'senderRole', 'a name')
  check(typeof resumeOnReconnect === 'boolean', 'resumeOnReconnect', 'a boolean')
  check(typeof autoRead === 'boolean', 'autoRead', 'a boolean')
  check(ticks === 'any' || ticks === 'all', 'ticks', "'any' or 'all'")
  check(Number.isSafeInteger(keepMessages) && keepMessages >= 0, 'keepMessages', 'a number of messages')
  check(typeof requestPersistence === 'boolean', 'requestPersistence', 'a boolean')
  check(typeof backgroundSync === 'boolean', 'backgroundSync', 'a boolean')
  check(Number.isFinite(requestTimeoutMs) && requestTimeoutMs > 0, 'requestTimeoutMs', 'a number of milliseconds')
  const way = toWay(source, check)
  check(!way.table || isName(senderRole), 'senderRole', 'given, as a table needs it')
  return {
    url: url.replace(/\/+$/, ''),
    api_key: apiKey,
    ...(userId && { user_id: userId }),
    ...(senderRole && { sender_role: senderRole }),
    resume_on_reconnect: resumeOnReconnect,
    auto_read: autoRead,
    ticks,
    keep_messages: keepMessages,
    request_timeout_ms: requestTimeoutMs,
    ...way,
  }
}
