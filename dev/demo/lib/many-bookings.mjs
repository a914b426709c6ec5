// A dashboard as it is after a season: bookings of the operator and the client, each with a short conversation.

const TALK = ['Hello, is everything set for our booking?', 'Yes, it is. We look forward to seeing you.', 'Great, thank you! See you then.']

/**
 * Adds so many bookings with three messages each: the first and the last by the client. The operator has received all,
 * and has not read the last one of every tenth. Answers their ids.
 */
export async function addManyBookings({ sql, users: { operator, client } }, count) {
  const added = await sql`
    insert into public.bookings (title, customer, starts_at, operator_id, client_id)
    select (array['Harbour tour', 'Airport transfer', 'Sunset sailing', 'Old town on foot', 'Kayaks'])[1 + n % 5] || ' ' || n,
      (array['Mara', 'Jonas', 'Aino', 'Luis', 'Priya', 'Tomasz'])[1 + n % 6] || ' ' || (array['Lindqvist', 'Berg', 'Costa', 'Okafor'])[1 + n % 4],
      date_trunc('hour', now()) + n * interval '3 hours', ${operator.id}, ${client.id}
    from generate_series(1, ${count}) n returning id::text`
  const ids = added.map(({ id }) => id)
  const unread = ids.filter((_, n) => n % 10 === 0)
  // Written as a migration of older conversations would: numbered without holes, and told to nobody live.
  await sql.begin(async (tx) => {
    await tx`set local session_replication_role = replica`
    await tx`
      insert into public.chat_messages (id, conversation_id, seq, sender_id, sender_role, content, created_at)
      select gen_random_uuid(), b.id, m.seq, case when m.seq = 2 then ${operator.id}::uuid else ${client.id}::uuid end,
        case when m.seq = 2 then 'operator' else 'client' end, m.content,
        now() - b.n * interval '17 minutes' - interval '1 hour' + m.seq * interval '1 minute'
      from unnest(${ids}::text[]) with ordinality b (id, n), unnest(${TALK}::text[]) with ordinality m (content, seq)`
    await tx`update public.chat_conversations set last_seq = ${TALK.length} where id = any (${ids})`
    await tx`
      update public.chat_members set delivered_seq = ${TALK.length},
        read_seq = case when user_id = ${operator.id} and conversation_id = any (${unread}) then ${TALK.length - 1}::bigint else ${TALK.length}::bigint end
      where conversation_id = any (${ids})`
  })
  return ids
}
