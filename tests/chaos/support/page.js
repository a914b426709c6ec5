import { createChatClient } from '/pkg/index.js'

const { name, user } = Object.fromEntries(new URLSearchParams(location.search))
const socket = new WebSocket(`ws://${location.host}/control?page=${name}`)
const tell = (event) => socket.send(JSON.stringify(event))
await new Promise((resolve, reject) => Object.assign(socket, { onopen: resolve, onerror: reject }))

const { conversations, ...options } = await (await fetch('/config')).json()
const client = createChatClient({ ...options, accessToken: async () => (await fetch(`/token?user=${user}`)).text() })
client.on('delivery_status', ({ id, status }) => {
  if (status === 'sent') tell({ sent: id })
})
for (const id of conversations) client.conversation(id).subscribe(() => {})

const methods = {
  write(messages) {
    for (const { conversation, text } of messages) {
      client.conversation(conversation).send(text).persisted.then(
        () => tell({ accepted: text }),
        ({ code }) => tell({ rejected: text, code }),
      )
    }
  },
  state: () => ({ connection: client.getConnectionStatus(), pending: client.getPendingMessagesCount() }),
  views: () => Object.fromEntries(conversations.map((id) => [id, client.conversation(id).getSnapshot().messages.map(
    ({ id, content, delivery_status }) => ({ id, text: content, status: delivery_status ?? null }),
  )])),
  /** What keeps it from being done, in words without what people wrote. */
  unsent: () => [client.getConnectionStatus(), ...conversations.flatMap((id) => client.conversation(id).getSnapshot().messages).flatMap(
    ({ id, phase, failure, retry_count, next_attempt_at }) => phase ? [{ id, phase, code: failure?.code, retry_count, next_attempt_at }] : [],
  )],
  /** Nothing of this page runs until the server answers. */
  hang() {
    const request = new XMLHttpRequest()
    request.open('GET', '/hang', false)
    request.send()
  },
}

socket.onmessage = ({ data }) => {
  const { call, method, argument } = JSON.parse(data)
  tell({ call, result: methods[method](argument) ?? null })
}

await client.connect().catch(() => {})
tell({ ready: true })
