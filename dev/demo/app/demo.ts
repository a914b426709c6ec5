import type { ChatClientOptions } from 'surechat'

export type Role = 'operator' | 'client'

interface DemoUser {
  id: string
  email: string
  password: string
}

/** What the demo's server wrote into the page. */
export const demo = JSON.parse(document.getElementById('demo')!.textContent!) as {
  url: string
  apiKey: string
  users: Record<Role, DemoUser>
  /** Absent: the managed schema. */
  source?: ChatClientOptions['source']
}

const parameters = new URLSearchParams(location.search)

export const resumeOnReconnect = parameters.get('resume') !== '0'
