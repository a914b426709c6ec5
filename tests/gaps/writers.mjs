// Who writes: transactions that take their numbers, stay open for a while, and are committed or rolled back.
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'

const ROLLED_BACK = 0.15
const AGAIN = 0.5

/** The table an app would have without surechat: a time by default, a number from a sequence. */
export const PLAIN_TABLE = `
  create table if not exists public.plain_messages (
    id uuid primary key,
    conversation_id text not null,
    content text not null,
    created_at timestamptz not null default now(),
    number bigserial
  );
  create index if not exists plain_messages_time on public.plain_messages (conversation_id, created_at, id);
  create index if not exists plain_messages_number on public.plain_messages (conversation_id, number);`

/** How long a transaction stays open: mostly not at all, now and then long. */
function pause(random) {
  const luck = random()
  if (luck < 0.6) return random() * 2
  if (luck < 0.9) return random() * 15
  return random() * 80
}

class RolledBack extends Error {}

async function transaction(sql, { hold, kept }, work) {
  try {
    await sql.begin(async (tx) => {
      await work(tx)
      await sleep(hold)
      if (!kept) throw new RolledBack()
    })
  } catch (error) {
    if (!(error instanceof RolledBack)) throw error
  }
}

async function send(tx, user, batch) {
  const claims = JSON.stringify({ role: 'authenticated', sub: user.id })
  await tx`select set_config('role', 'authenticated', true), set_config('request.jwt.claims', ${claims}, true)`
  for (const { status } of await tx`select status from public.chat_send(${user.id}, ${tx.json(batch)})`) {
    if (status !== 'stored') throw new Error(`chat_send answered ${status}`)
  }
}

const insert = (tx, batch) => tx`insert into public.plain_messages ${tx(batch, 'id', 'conversation_id', 'content')}`

/**
 * One writer, until `isOver`. The same rows go through chat_send and into the plain table, each in a transaction of its
 * own that stays open as long and ends alike: the plain table is not helped by the locks of the other. What was rolled
 * back is sometimes written again under the same ids.
 */
export async function write({ name, ours, plain, user, conversations, random, isOver, tally }) {
  for (let n = 0; !isOver(); n++) {
    const size = 1 + Math.floor(random() ** 3 * 4)
    const batch = Array.from({ length: size }, (_, index) => ({
      id: randomUUID(),
      conversation_id: conversations[Math.floor(random() * conversations.length)],
      content: `${name}: ${n}.${index}`,
    }))
    for (let again = true; again; ) {
      const plan = { hold: pause(random), kept: random() >= ROLLED_BACK }
      again = !plan.kept && random() < AGAIN
      await Promise.all([
        transaction(ours, plan, (tx) => send(tx, user, batch)),
        transaction(plain, plan, (tx) => insert(tx, batch)),
      ])
      tally.transactions++
      if (!plan.kept) tally.rolledBack++
    }
    await sleep(pause(random) / 4)
  }
}
