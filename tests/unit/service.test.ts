import { beforeEach, expect, it, vi } from 'vitest'
import type * as Surechat from '../../js/index.js'
import { OPTIONS } from './fake-core.js'

let chat: typeof Surechat

beforeEach(async () => {
  vi.resetModules()
  chat = await import('../../js/index.js')
})

it('does not work before configureChat, and says so', () => {
  expect(() => chat.realtimeMessageService.getConnectionStatus()).toThrow(
    expect.objectContaining({ name: 'ChatError', code: 'not_configured' }),
  )
  expect(() => chat.getDefaultClient()).toThrow(/^unable to find the chat client; because /)
})

it('delegates to the configured client', async () => {
  const client = chat.configureChat(OPTIONS)
  expect(chat.getDefaultClient()).toBe(client)
  const service = chat.realtimeMessageService
  expect(service.getConnectionStatus()).toBe('connecting')
  expect(service.getPendingMessagesCount()).toBe(0)
  expect(service.conversation('a')).toBe(client.conversation('a'))
  expect(service.getSnapshot()).toBe(client.getSnapshot())
  expect(await service.cleanup()).toBe(0)
})

it('has every method of a client', () => {
  const client = chat.createChatClient(OPTIONS)
  const own = [...Object.keys(client), ...Object.getOwnPropertyNames(Object.getPrototypeOf(client))]
  expect(Object.keys(chat.realtimeMessageService).sort()).toEqual(own.filter((name) => name !== 'constructor').sort())
})

it('cleans up the client it replaces', () => {
  const first = chat.configureChat(OPTIONS)
  const cleanup = vi.spyOn(first, 'cleanup')
  const second = chat.configureChat(OPTIONS)
  expect(cleanup).toHaveBeenCalledTimes(1)
  expect(chat.getDefaultClient()).toBe(second)
})
