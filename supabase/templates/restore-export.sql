-- Puts back what supabase/templates/export-messages.sql has copied. Run it once the migration has been applied anew, before
-- people write and before supabase/templates/bookings.sql:
--
--   psql "$DATABASE_URL" --set ON_ERROR_STOP=1 --file supabase/templates/restore-export.sql
--
-- Every row comes back with its id, number and times, and everybody with what they had received and read. Who was a
-- member then is one again: take out whom your app has let go since. Only the incarnations are new: a
-- browser may hold what was lost because it was written after the export, so the place it stopped at says no longer what
-- it has, and it loads each conversation's newest page again. What it still holds unsent it sends.
--
-- It is one transaction. A conversation that it has put back before is left alone, with all that came since, and the
-- exported tables stay. Where one holds other messages by now, it stops with an error that names it, and changes nothing.
-- Then delete that conversation, here or from public.exported_conversations: what is not listed there is not put back.
-- Messages are not announced live; open pages find them within a minute. While it runs, sending waits.

begin;

lock table public.chat_conversations in exclusive mode;

-- An empty conversation may have been made by a booking in the meantime.
create temporary table to_restore on commit drop as
  select e.* from public.exported_conversations e left join public.chat_conversations c on c.id = e.id
  where c.id is null or (c.last_seq = 0 and e.last_seq > 0);

do $$
declare
  odd record;
begin
  select e.id into odd
  from public.exported_conversations e join public.chat_conversations c on c.id = e.id
  where c.last_seq > 0 and (c.last_seq < e.last_seq or exists (
    select from public.exported_messages x where x.conversation_id = e.id and not exists (
      select from public.chat_messages g where g.id = x.id and g.conversation_id = x.conversation_id and g.seq = x.seq)))
  order by e.id limit 1;
  if found then
    raise exception 'Conversation % holds other messages than its export. Nothing was restored.', odd.id;
  end if;

  select x.id, g.conversation_id into odd
  from to_restore r join public.exported_messages x on x.conversation_id = r.id join public.chat_messages g on g.id = x.id
  order by x.id limit 1;
  if found then
    raise exception 'Conversation % has a message with the exported id %. Nothing was restored.', odd.conversation_id, odd.id;
  end if;
end $$;

alter table public.chat_messages disable trigger chat_broadcast_message;
alter table public.chat_members disable trigger chat_broadcast_receipt;

insert into public.chat_conversations (id, last_seq, created_at)
select r.id, r.last_seq, r.created_at from to_restore r
on conflict (id) do update set last_seq = excluded.last_seq, created_at = excluded.created_at;

insert into public.chat_messages
  (id, conversation_id, seq, kind, target_id, sender_id, sender_role, content, message_type, metadata, created_at, edited_at, deleted_at)
select
  x.id, x.conversation_id, x.seq, x.kind, x.target_id, x.sender_id, x.sender_role, x.content, x.message_type, x.metadata,
  x.created_at, x.edited_at, x.deleted_at
from to_restore r join public.exported_messages x on x.conversation_id = r.id;

-- Whom a booking has brought in since counts as having read what was written before, as ever.
update public.chat_members k set delivered_seq = r.last_seq, read_seq = r.last_seq
from to_restore r where k.conversation_id = r.id;

insert into public.chat_members (conversation_id, user_id, role, delivered_seq, read_seq, delivered_at, read_at)
select x.conversation_id, x.user_id, x.role, x.delivered_seq, x.read_seq, x.delivered_at, x.read_at
from to_restore r join public.exported_members x on x.conversation_id = r.id
on conflict (conversation_id, user_id) do update set
  delivered_seq = excluded.delivered_seq, read_seq = excluded.read_seq,
  delivered_at = excluded.delivered_at, read_at = excluded.read_at;

alter table public.chat_messages enable trigger chat_broadcast_message;
alter table public.chat_members enable trigger chat_broadcast_receipt;

select count(*) as conversations_restored from to_restore;

commit;
