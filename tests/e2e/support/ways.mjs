// An app that has its own table of messages, as the guide does, and one that has its own endpoint.
import { createServer } from 'node:http'

export const TABLE = { kind: 'table' }

/** The guide's table: readable and writable for the two parties of a booking, and told live. */
export async function createMessagesTable({ sql }) {
  await sql.unsafe(`
    create table public.messages (
      id uuid primary key default gen_random_uuid(),
      booking_id uuid not null references public.bookings on delete cascade,
      sender_role text not null,
      content text not null check (content <> 'refuse me'),
      message_type text not null default 'text',
      metadata jsonb not null default '{}',
      created_at timestamptz not null default now()
    );
    create index on public.messages (booking_id, created_at, id);
    alter table public.messages enable row level security;
    grant select, insert on public.messages to authenticated;
    create policy "parties read" on public.messages for select to authenticated
      using (exists (select from public.bookings b where b.id = booking_id and (select auth.uid()) in (b.operator_id, b.client_id)));
    create policy "parties write" on public.messages for insert to authenticated
      with check (exists (select from public.bookings b where b.id = booking_id
        and (select auth.uid()) = case sender_role when 'operator' then b.operator_id when 'client' then b.client_id end));
    alter publication supabase_realtime add table public.messages;
  `).simple()
}

/** The rows of the app's own table, in the order in which everybody reads them. */
export function tableRows({ sql }, booking) {
  return sql`select id, content, sender_role, created_at from public.messages where booking_id = ${booking} order by created_at, id`
}

/**
 * An app's endpoint, which stores with the rights of who asks. `faults` are what happens to the next requests:
 * `lose` (stored, and the answer is lost) or a status. `says` is what it answers to what it stored: `row` or `nothing`.
 */
export async function startEndpoint({ stack, apiKey }) {
  const endpoint = { faults: [], says: 'row', requests: [] }
  const server = createServer(async (request, response) => {
    const reply = (status, body) => response.writeHead(status, {
      'content-type': 'application/json',
      'access-control-allow-origin': '*',
      'access-control-allow-headers': 'authorization, content-type, idempotency-key',
    }).end(body === undefined ? '' : JSON.stringify(body))
    if (request.method === 'OPTIONS') return reply(204)
    const chunks = []
    for await (const chunk of request) chunks.push(chunk)
    const { expected_user, sender_role, ...message } = JSON.parse(Buffer.concat(chunks).toString())
    const key = request.headers['idempotency-key']
    endpoint.requests.push({ key, content: message.content })
    const fault = endpoint.faults.shift()
    if (typeof fault === 'number') return reply(fault, { error: 'not now' })
    if (key !== message.id) return reply(400, { error: 'no idempotency key' })
    const answer = await fetch(`${stack.url}/rest/v1/rpc/chat_send`, {
      method: 'POST',
      headers: { apikey: apiKey, authorization: request.headers.authorization, 'content-type': 'application/json' },
      body: JSON.stringify({ expected_user, batch: [{ ...message, kind: 'message', target_id: null }] }),
    })
    if (fault === 'lose') return request.socket.destroy()
    if (!answer.ok) return reply(answer.status, await answer.json())
    const [row] = await answer.json()
    if (row.status === 'duplicate') return reply(409, { error: 'stored before' })
    if (row.status !== 'stored') return reply(422, { error: row.status })
    reply(201, endpoint.says === 'row' ? row : {})
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  return Object.assign(endpoint, {
    url: `http://127.0.0.1:${server.address().port}/api/messages`,
    stop() {
      server.close()
      server.closeAllConnections()
    },
  })
}
