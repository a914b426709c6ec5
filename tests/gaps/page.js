// A reader with the package itself: everything each view showed, as it was shown.
import { createChatClient } from '/pkg/index.js'

const { name, user } = Object.fromEntries(new URLSearchParams(location.search))
const socket = new WebSocket(`ws://${location.host}/control?page=${name}`)
const tell = (event) => socket.send(JSON.stringify(event))
await new Promise((resolve, reject) => Object.assign(socket, { onopen: resolve, onerror: reject }))

const { conversations, ...options } = await (await fetch('/config')).json()
const client = createChatClient({ ...options, accessToken: async () => (await fetch(`/token?user=${user}`)).text() })

/** One conversation: what is shown now, whatever was shown, and what a view must never do. */
class View {
  shown = []
  ever = new Set()
  doubled = 0
  disordered = 0

  constructor(id) {
    this.conversation = client.conversation(id)
    this.conversation.subscribe(() => this.look())
  }

  look() {
    const before = new Set(this.shown)
    const now = this.conversation.getSnapshot().messages.map((message) => message.id)
    const kept = now.filter((id) => before.has(id))
    this.doubled += now.length - new Set(now).size
    // What was there keeps its order, and what is new stands in front of all of it or behind it.
    const stayed = new Set(kept)
    const old = this.shown.filter((id) => stayed.has(id))
    this.disordered += kept.filter((id, index) => id !== old[index]).length
    if (kept.length > 0) {
      const [from, to] = [now.indexOf(kept[0]), now.lastIndexOf(kept.at(-1))]
      this.disordered += now.slice(from, to).filter((id) => !before.has(id)).length
    }
    for (const id of now) this.ever.add(id)
    this.shown = now
  }

  async wholeHistory() {
    const { conversation } = this
    while (conversation.loadOlder && conversation.getSnapshot().hasOlder) await conversation.loadOlder()
    this.look()
  }
}

const views = Object.fromEntries(conversations.map((id) => [id, new View(id)]))
const eachView = (make) => Object.fromEntries(Object.entries(views).map(([id, view]) => [id, make(view)]))

const methods = {
  newest: () => eachView(({ shown }) => shown.at(-1) ?? null),
  async views() {
    await Promise.all(Object.values(views).map((view) => view.wholeHistory()))
    return eachView(({ shown, ever, doubled, disordered }) => ({ shown, ever: [...ever], doubled, disordered }))
  },
}

socket.onmessage = async ({ data }) => {
  const { call, method, argument } = JSON.parse(data)
  tell({ call, result: (await methods[method](argument)) ?? null })
}

await client.connect().catch(() => {})
tell({ ready: true })
