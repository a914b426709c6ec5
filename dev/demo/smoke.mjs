// Two people talk through the demo's pages in a headless browser, ten messages each, while the operator loses the
// network for some seconds and the client's socket is cut. Prints what happened and how long it took.
import { setTimeout as sleep } from 'node:timers/promises'
import { addBooking, launch, say, until, untilConnection } from './lib/browser.mjs'

const ROUNDS = 10
const CUT_BEFORE = 4
const BACK_BEFORE = 7
const CALM_BEFORE = 9
const PACE_MS = 1000
const LIMIT_S = 60
// Long enough for a doubled message to show up.
const SETTLE_MS = 2000

const TEXTS = {
  operator: (round) => `Operator, message ${round}`,
  client: (round) => `Client, message ${round}`,
}
const ROLES = Object.keys(TEXTS)

/** Runs in a page before its own code: notes when which message came up, and every state of the connection. */
function observe() {
  const seen = { shown: {}, connection: [] }
  window.seen = seen
  const look = () => {
    for (const { dataset } of document.querySelectorAll('.message')) {
      seen.shown[dataset.id] ??= performance.timeOrigin + performance.now()
    }
    const status = document.querySelector('.surechat-connection')?.dataset.status
    if (status && status !== seen.connection.at(-1)) seen.connection.push(status)
  }
  new MutationObserver(look).observe(document, { subtree: true, childList: true, attributes: true })
}

/** What a page shows from top to bottom, and what it has measured. */
function read() {
  const marks = {}
  for (const { name, detail, startTime } of performance.getEntriesByType('mark')) {
    marks[name] ??= {}
    marks[name][detail] ??= performance.timeOrigin + startTime
  }
  const messages = [...document.querySelectorAll('.message')].map((message) => ({
    id: message.dataset.id,
    status: message.dataset.status,
    content: message.querySelector('.content').textContent,
  }))
  return { messages, marks, ...window.seen }
}

async function open(browser, url, errors) {
  const context = await browser.newContext({ viewport: { width: 1024, height: 720 } })
  const page = await context.newPage()
  page.on('pageerror', (error) => errors.push(`${new URL(url).pathname}: ${error.message}`))
  await page.addInitScript(observe)
  await page.goto(url)
  await untilConnection(page, 'connected')
  return page
}

/** Both write in turn; returns what was stored of the operator's while nothing of his could get through. */
async function talk(stack, bookingId, { operator, client }) {
  const stored = async () => (await stack.sql`
    select count(*)::int as n from public.chat_messages
    where conversation_id = ${bookingId} and sender_id = ${stack.users.operator.id}`)[0].n
  let before = 0
  let during = 0
  let offline = null
  for (let round = 1; round <= ROUNDS; round++) {
    if (round === CUT_BEFORE) {
      await until('the messages before the cut are stored', async () => (await stored()) === CUT_BEFORE - 1, LIMIT_S)
      before = await stored()
      offline = stack.faults.add({ kind: 'offline', user: stack.users.operator.id })
      stack.faults.add({ kind: 'cut_sockets', user: stack.users.client.id })
    }
    if (round === BACK_BEFORE) {
      during = (await stored()) - before
      stack.faults.remove(offline.id)
    }
    if (round === CALM_BEFORE) {
      await until('the outage is caught up on', async () => (await Promise.all([operator, client].map(look))).every(isSettled), LIMIT_S)
    }
    await say(operator, TEXTS.operator(round))
    await sleep(PACE_MS / 2)
    await say(client, TEXTS.client(round))
    await sleep(PACE_MS / 2)
  }
  return during
}

const look = (page) => page.evaluate(read)

const isSettled = ({ messages, connection }) =>
  connection.at(-1) === 'connected' && messages.every(({ status }) => !status || ['sent', 'delivered', 'read'].includes(status))

const isDone = (seen) => seen.messages.length >= 2 * ROUNDS && isSettled(seen)

const same = (a, b) => JSON.stringify(a) === JSON.stringify(b)

function check({ rows, seen, during, users, errors }) {
  const ids = rows.map(({ id }) => id)
  const texts = (list) => list.map(({ content }) => content)
  const expected = ROLES.flatMap((role) => Array.from({ length: ROUNDS }, (_, index) => TEXTS[role](index + 1)))
  const bySender = (role) => texts(rows.filter(({ sender_id }) => sender_id === users[role].id))
  return [
    [`the database has ${2 * ROUNDS} rows`, rows.length === 2 * ROUNDS, `${rows.length}`],
    ['every message once', same(texts(rows).sort(), [...expected].sort()), `${new Set(texts(rows)).size} different ones`],
    ['seq without a hole', same(rows.map(({ seq }) => Number(seq)), rows.map((_, index) => index + 1)), `1 to ${rows.at(-1)?.seq}`],
    ...ROLES.map((role) => [
      `in the order in which the ${role} wrote`, same(bySender(role), Array.from({ length: ROUNDS }, (_, index) => TEXTS[role](index + 1))),
      `${bySender(role).length} rows`,
    ]),
    ['the cut was one: nothing of the operator got through', during === 0, `${during} rows`],
    ...ROLES.map((role) => [
      `the ${role}'s screen shows them all, once, in that order`,
      same(seen[role].messages.map(({ id }) => id), ids) && same(texts(seen[role].messages), texts(rows)),
      `${seen[role].messages.length} messages`,
    ]),
    ...ROLES.map((role) => [
      `the ${role}'s page lost the connection and has it again`,
      seen[role].connection.includes('reconnecting') && seen[role].connection.at(-1) === 'connected',
      seen[role].connection.join(' → '),
    ]),
    ['no error in the pages', errors.length === 0, errors.join('; ') || 'none'],
  ]
}

/** For each message the milliseconds from `send` to each of the three steps. */
function times({ rows, seen, users }) {
  return rows.map(({ id, sender_id, content }) => {
    const [from, to] = sender_id === users.operator.id ? ROLES : [...ROLES].reverse()
    const start = seen[from].marks['chat:send']?.[id]
    const round = Number(/\d+$/.exec(content)?.[0])
    return {
      undisturbed: round < CUT_BEFORE || round >= CALM_BEFORE,
      persisted: seen[from].marks['chat:persisted']?.[id] - start,
      sent: seen[from].marks['chat:sent']?.[id] - start,
      shown: seen[to].shown[id] - start,
    }
  })
}

function median(sorted) {
  const middle = sorted.length >> 1
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

function printTimes(all) {
  const cell = (value) => (Number.isFinite(value) ? value.toFixed(1) : '–').padStart(12)
  const line = (step) => [all.filter(({ undisturbed }) => undisturbed), all].flatMap((group) => {
    const sorted = group.map((entry) => entry[step]).sort((a, b) => a - b)
    return [cell(median(sorted)), cell(sorted.at(-1))]
  }).join('')
  const undisturbed = all.filter((entry) => entry.undisturbed).length
  console.log(`\n  from send, in ms         ${`the ${undisturbed} away from the cut`.padStart(24)}${`all ${all.length}`.padStart(24)}`)
  console.log(`${' '.repeat(27)}${['median', 'max', 'median', 'max'].map((title) => title.padStart(12)).join('')}`)
  console.log(`  persisted                ${line('persisted')}`)
  console.log(`  sent                     ${line('sent')}`)
  console.log(`  shown on the other side  ${line('shown')}`)
}

/** Resolves with whether nothing was lost, doubled or out of order. */
export async function runSmoke({ stack, url, chromium }) {
  const errors = []
  const bookingId = await addBooking(stack, { title: 'Smoke test' })
  const browser = await launch(chromium)
  try {
    const pages = {}
    for (const role of ROLES) pages[role] = await open(browser, `${url}/${role}?booking=${bookingId}`, errors)
    const during = await talk(stack, bookingId, pages)

    const lookAtBoth = () => Promise.all(ROLES.map((role) => look(pages[role])))
    const gaveUp = await until('everything is sent and shown', async () => (await lookAtBoth()).every(isDone), LIMIT_S).catch((error) => error)
    await sleep(SETTLE_MS)

    const screens = await lookAtBoth()
    const seen = Object.fromEntries(ROLES.map((role, index) => [role, screens[index]]))
    const rows = await stack.sql`select id, seq, sender_id, content from public.chat_messages where conversation_id = ${bookingId} order by seq`
    const found = { rows, seen, during, users: stack.users, errors }
    const checks = check(found)
    console.log(`\nsmoke: ${ROUNDS} messages each way; the operator offline from message ${CUT_BEFORE} to ${BACK_BEFORE - 1}, the client's socket cut before message ${CUT_BEFORE}\n`)
    for (const [what, ok, detail] of checks) console.log(`  ${ok ? 'ok    ' : 'FAILED'}  ${what} (${detail})`)
    if (gaveUp instanceof Error) console.log(`  FAILED  ${gaveUp.message}`)
    printTimes(times(found))
    const passed = !(gaveUp instanceof Error) && checks.every(([, ok]) => ok)
    console.log(`\nsmoke: ${passed ? 'passed' : 'failed'}`)
    return passed
  } catch (error) {
    console.error(`smoke: ${error.stack}`)
    return false
  } finally {
    await browser.close()
  }
}
