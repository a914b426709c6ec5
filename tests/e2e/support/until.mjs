/** Waits until `check` gives something true, and fails with `what` when it does not in time. */
export async function until(what, check, seconds = 20) {
  const end = Date.now() + seconds * 1000
  for (;;) {
    const result = await check()
    if (result) return result
    if (Date.now() > end) throw new Error(`gave up after ${seconds} s: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}
