// The other two ways in (docs/ways-in.md), as an app would have them: its own table of messages, its own endpoint.

/** The guide's table: readable and writable for the two parties of a booking, and told live. */
export async function createMessagesTable({ sql }) {
  await sql.unsafe(`
    create table public.messages (
      id uuid primary key default gen_random_uuid(),
      booking_id uuid not null references public.bookings on delete cascade,
      sender_role text not null,
      content text not null,
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

/**
 * What an endpoint has to do with a message, `{status, body}`: it is stored once, with the rights of who asks. Here the
 * managed schema sees to all of it.
 */
export async function takeMessage({ url, apiKey }, { authorization, key, message: { expected_user, sender_role, ...message } }) {
  if (key !== message.id) return { status: 400, body: { error: 'the idempotency key is not the id' } }
  const answer = await fetch(`${url}/rest/v1/rpc/chat_send`, {
    method: 'POST',
    headers: { apikey: apiKey, authorization, 'content-type': 'application/json' },
    body: JSON.stringify({ expected_user, batch: [{ ...message, kind: 'message', target_id: null }] }),
  })
  if (!answer.ok) return { status: answer.status, body: await answer.json() }
  const [row] = await answer.json()
  if (row.status === 'duplicate') return { status: 409, body: { error: 'stored before' } }
  if (row.status !== 'stored') return { status: 422, body: { error: row.status } }
  return { status: 201, body: row }
}
