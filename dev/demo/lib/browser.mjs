// What the smoke test and the screenshots have in common: a headless browser, and people at both pages.
import { chromium as playwright } from 'playwright-core'

const QUIET = ['--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync']

export function launch(executablePath) {
  const args = process.getuid?.() === 0 ? ['--no-sandbox', ...QUIET] : QUIET
  return playwright.launch({ executablePath, args })
}

/** Adds a booking of the two demo users; returns its id. */
export async function addBooking({ sql, users }, { title, customer = 'Mara Lindqvist', status = 'confirmed' }) {
  const [{ id }] = await sql`
    insert into public.bookings (title, customer, status, starts_at, operator_id, client_id)
    values (${title}, ${customer}, ${status}, now() + interval '1 day', ${users.operator.id}, ${users.client.id}) returning id`
  return id
}

export const composer = (page) => page.getByRole('textbox', { name: 'Message', exact: true })

export async function say(page, text) {
  await composer(page).fill(text)
  await composer(page).press('Enter')
}

export async function untilConnection(page, ...states) {
  const selector = states.map((state) => `.surechat-connection[data-status='${state}']`).join(', ')
  await page.locator(selector).waitFor()
}

/** Waits until `check` gives something true, and fails with `what` when it does not in time. */
export async function until(what, check, seconds = 60) {
  const end = Date.now() + seconds * 1000
  for (;;) {
    const result = await check()
    if (result) return result
    if (Date.now() > end) throw new Error(`gave up after ${seconds} s: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}
