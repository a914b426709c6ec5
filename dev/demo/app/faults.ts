import { useCallback, useEffect, useState } from 'react'
import { demo, type Role } from './demo'

export interface Fault {
  name: string
  /** What it does, in plain words. */
  about: string
  kind: string
  /** Happens once, at once. */
  once?: boolean
  options?: Record<string, unknown>
}

export const FAULTS: readonly Fault[] = [
  { name: 'Offline', about: 'Nothing gets through, as in a tunnel.', kind: 'offline' },
  { name: 'Cut the socket', about: 'Once. The page has to connect again.', kind: 'cut_sockets', once: true },
  { name: 'Lose the answers', about: 'Messages are stored, but the answer gets lost.', kind: 'lose_answer', options: { match: 'send' } },
  { name: 'Server down', about: 'Every request is answered with 503.', kind: 'status', options: { status: 503 } },
  { name: 'Too many requests', about: 'Every request is answered with 429.', kind: 'status', options: { status: 429 } },
  { name: 'Session refused', about: 'Every request is answered with 401.', kind: 'status', options: { status: 401 } },
  { name: 'Slow', about: 'Every request takes three seconds longer.', kind: 'delay', options: { ms: 3000 } },
  { name: 'Lose live events', about: 'Messages are stored, but nobody is told.', kind: 'drop_live' },
]

interface ActiveFault {
  id: string
  kind: string
  user: string | null
  status?: number
}

const endpoint = `${demo.url}/__faults`
const POLL_MS = 1000

async function call(method: string, path = '', body?: object): Promise<Response> {
  const answer = await fetch(endpoint + path, { method, body: body && JSON.stringify(body) })
  if (!answer.ok && answer.status !== 404) throw new Error(`${method} ${path}: ${answer.status}`)
  return answer
}

export interface FaultSwitches {
  /** false: the local stack does not answer. */
  reachable: boolean
  any: boolean
  isOn: (fault: Fault, role: Role) => boolean
  flip: (fault: Fault, role: Role) => void
  clear: () => void
}

export function useFaults(): FaultSwitches {
  const [active, setActive] = useState<readonly ActiveFault[]>([])
  const [reachable, setReachable] = useState(true)

  const act = useCallback(async (work: () => Promise<unknown>) => {
    try {
      await work()
      const { faults } = await (await call('GET')).json() as { faults: ActiveFault[] }
      setActive(faults)
      setReachable(true)
    } catch {
      setReachable(false)
    }
  }, [])

  useEffect(() => {
    const look = () => void act(async () => {})
    look()
    const timer = setInterval(() => document.hidden || look(), POLL_MS)
    return () => clearInterval(timer)
  }, [act])

  const find = ({ kind, options }: Fault, role: Role) => active.find((fault) =>
    fault.kind === kind && fault.status === options?.status && fault.user === demo.users[role].id)

  return {
    reachable,
    any: active.length > 0,
    isOn: (fault, role) => find(fault, role) !== undefined,
    flip: (fault, role) => void act(async () => {
      const on = find(fault, role)
      if (on) await call('DELETE', `/${on.id}`)
      else await call('POST', '', { kind: fault.kind, user: demo.users[role].id, ...fault.options })
    }),
    clear: () => void act(() => call('DELETE')),
  }
}
