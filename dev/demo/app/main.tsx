import 'surechat/styles.css'
import './styles/base.css'
import './styles/chat.css'
import './styles/pages.css'
import { lazy, StrictMode, Suspense } from 'react'
import { createRoot } from 'react-dom/client'

const pages: Record<string, ReturnType<typeof lazy>> = {
  '/': lazy(() => import('./start-page')),
  '/operator': lazy(() => import('./operator-page')),
  '/client': lazy(() => import('./client-page')),
}

// The server knows no other addresses.
const Page = pages[location.pathname]!

createRoot(document.getElementById('root')!).render(
  <StrictMode>
    <Suspense><Page /></Suspense>
  </StrictMode>,
)
