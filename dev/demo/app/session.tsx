import { createClient, type SupabaseClient } from '@supabase/supabase-js'
import { type ReactNode, useCallback, useEffect, useState } from 'react'
import { type ChatClient, createChatClient, type Unsent } from 'surechat'
import { ChatProvider } from 'surechat/react'
import { demo, resumeOnReconnect, type Role } from './demo'
import { watchDeliveries } from './timing'

export interface Session {
  role: Role
  supabase: SupabaseClient
  chat: ChatClient
  signOut: () => Promise<void>
  /** For a session that the server does not accept any more. */
  signInAgain: () => Promise<void>
}

type State =
  | { name: 'signing_in' }
  | { name: 'signed_in'; chat: ChatClient }
  /** null: it could not be counted. */
  | { name: 'signed_out'; left: Unsent | null }
  | { name: 'failed'; reason: string }

/** Operator and client live in one browser, so each keeps a session of its own. */
function connect(role: Role): SupabaseClient {
  return createClient(demo.url, demo.apiKey, { auth: { storageKey: `surechat-demo-${role}` } })
}

async function signIn(supabase: SupabaseClient, role: Role): Promise<void> {
  const { email, password } = demo.users[role]
  const { error } = await supabase.auth.signInWithPassword({ email, password })
  if (error) throw error
}

async function isSignedIn(supabase: SupabaseClient, role: Role): Promise<boolean> {
  const { data } = await supabase.auth.getSession()
  return data.session?.user.id === demo.users[role].id
}

function createChat(supabase: SupabaseClient, role: Role): ChatClient {
  const chat = createChatClient({
    url: demo.url,
    apiKey: demo.apiKey,
    accessToken: async () => (await supabase.auth.getSession()).data.session?.access_token ?? null,
    resumeOnReconnect,
    ...(demo.source && { source: demo.source, senderRole: role }),
  })
  watchDeliveries(chat)
  return chat
}

/** Signs the demo's user in and gives the page its session. */
export function SignedIn({ role, children }: { role: Role; children: (session: Session) => ReactNode }) {
  const [supabase] = useState(() => connect(role))
  const [state, setState] = useState<State>({ name: 'signing_in' })

  const enter = useCallback(async () => {
    setState({ name: 'signing_in' })
    try {
      if (!(await isSignedIn(supabase, role))) await signIn(supabase, role)
      setState((state) => (state.name === 'signed_in' ? state : { name: 'signed_in', chat: createChat(supabase, role) }))
    } catch (error) {
      setState({ name: 'failed', reason: error instanceof Error ? error.message : String(error) })
    }
  }, [supabase, role])
  useEffect(() => void enter(), [enter])

  switch (state.name) {
    case 'signing_in':
      return <Notice><p role="status" className="slow">Signing in…</p></Notice>
    case 'failed':
      return (
        <Notice>
          <h1>Signing in failed</h1>
          <p role="alert">{state.reason}</p>
          <button type="button" className="button" onClick={enter}>Try again</button>
        </Notice>
      )
    case 'signed_out':
      return (
        <Notice>
          <h1>You are signed out</h1>
          <p role="status">{leftBehind(state.left)}</p>
          <button type="button" className="button" onClick={enter}>Sign in</button>
        </Notice>
      )
    case 'signed_in': {
      const { chat } = state
      const signOut = async () => {
        const left = await chat.signOut().catch(() => null)
        await supabase.auth.signOut({ scope: 'local' })
        setState({ name: 'signed_out', left })
      }
      const signInAgain = async () => {
        await signIn(supabase, role)
        await chat.retryFailedMessages()
      }
      return <ChatProvider client={chat}>{children({ role, supabase, chat, signOut, signInAgain })}</ChatProvider>
    }
  }
}

function leftBehind(left: Unsent | null): string {
  if (!left) return 'Whether messages are unsent is not known. If so, they are kept on this device.'
  const { unsent, maybeSent } = left
  if (unsent === 0) return ''
  const perhaps = maybeSent > 0 && maybeSent < unsent ? ` (${maybeSent} of them may have arrived already)` : ''
  return `Unsent messages are kept on this device: ${unsent}${perhaps}. They go out when you sign in again.`
}

function Notice({ children }: { children: ReactNode }) {
  return <main className="notice">{children}</main>
}
