const WORDS: Record<string, string> = {
  network: 'There is no connection.',
  timeout: 'The server does not answer.',
  offline_history: 'The older messages are not on this device.',
  server: 'The server has a problem.',
  rate_limited: 'The server asks for a pause.',
  blocked: 'Waits for the one before.',
  forbidden: 'You may not write in this conversation.',
  no_conversation: 'This conversation does not exist.',
  rejected: 'The server refused it.',
  poison: 'The server fails at this message again and again.',
  id_conflict: 'The server has another message under its number.',
  too_large: 'It is too long.',
  message_too_large: 'The message is too long: more than 64 kB.',
  empty_message: 'The message is empty.',
  invalid_text: 'The message contains a character that cannot be sent.',
  storage_full: 'This device has no room left for the message.',
  storage_unavailable: 'This browser does not let the chat keep messages.',
  storage_failed: 'This device could not keep the message.',
  storage_outdated: 'A newer version of this page is open in another tab.',
  storage_lost: 'The chat’s data in this browser was deleted; what was not sent may be lost.',
  outbox_full: 'Too many messages are waiting on this device.',
  unsupported: 'What was sent cannot be changed here.',
  not_found: 'There is nothing unsent of this message any more.',
  needs_auth: 'You are not signed in any more.',
  schema_missing: 'The chat is not set up on the server.',
  wasm_unavailable: 'The chat could not be loaded.',
  crashed: 'The chat stopped working. Your messages are kept: reload the page.',
}

/** Whether a fresh page is the way out. */
export const mayReload = ({ code }: { code: string }) => code === 'crashed' || code === 'storage_outdated'

/** The package's codes in this app's words. */
export function words({ code, message }: { code: string; message: string }): string {
  return WORDS[code] ?? `Something went wrong: ${message}`
}
