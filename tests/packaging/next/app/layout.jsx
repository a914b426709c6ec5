export const metadata = { title: 'Empty project' }

export default function Layout({ children }) {
  return <html lang="en"><body>{children}</body></html>
}
