-- Takes away what supabase/migrations/20261101000000_surechat.sql made. EVERY CONVERSATION, MESSAGE AND RECEIPT GOES
-- WITH IT, and there is no way back but a backup or an export: supabase/templates/export-messages.sql copies everything
-- into plain tables that stay, and supabase/templates/restore-export.sql puts them back once the migration was applied
-- anew. Run it right before this: if rows have come since then, this stops with an error that says how many are not in
-- the export, and deletes nothing. Drop the exported tables and export anew; or, to lose those rows knowingly, rename
-- public.exported_conversations while this runs. Without an export it does not ask. What only changed in a row that is
-- there (who has received and read up to where) does not count. Or
--
--   pg_dump "$DATABASE_URL" --data-only --table 'public.chat_*' --file chat.sql
--
-- Run this by hand, as the role that applied the migration; it begins by saying (as a NOTICE) how much it deletes:
--
--   psql "$DATABASE_URL" --set ON_ERROR_STOP=1 --file supabase/rollback.sql
--
-- It is one transaction, and it removes nothing of yours: if an object of the app still uses one of these (a trigger with
-- chat_follow, a view, a foreign key), it stops with an error that names the object, and everything stays as it was.
-- Drop that first; for supabase/templates/bookings.sql:
--
--   drop trigger if exists chat_booking on public.bookings;
--   drop trigger if exists chat_booking_status on public.bookings;
--   drop function if exists public.booking_status_message();
--
-- What it does not undo:
--   - live events already written to realtime.messages stay there until Supabase removes them (three days);
--   - messages that browsers have cached, or still hold unsent, stay in those browsers;
--   - the migration is still listed as applied: supabase migration repair --status reverted <its number>

begin;

do $$
declare
  n bigint[];
  lacking bigint[];
begin
  if to_regclass('public.chat_messages') is not null then
    -- Who is at work finishes first, and nobody begins. Where one waits for the other in a circle, it lets go and tries again.
    loop
      begin
        lock table public.chat_conversations, public.chat_messages, public.chat_members in access exclusive mode;
        exit;
      exception when deadlock_detected then
      end;
    end loop;
    execute 'select array[(select count(*) from public.chat_conversations), (select count(*) from public.chat_members),
      (select count(*) from public.chat_messages)]' into n;
    -- A table of the app may have that name, too.
    if exists (select from pg_attribute where attrelid = to_regclass('public.exported_conversations') and attname = 'incarnation') then
      execute 'select array[
        (select count(*) from (select id from public.chat_conversations except select id from public.exported_conversations) c),
        (select count(*) from (select conversation_id, user_id from public.chat_members
          except select conversation_id, user_id from public.exported_members) k),
        (select count(*) from (select id, conversation_id from public.chat_messages
          except select id, conversation_id from public.exported_messages) m)]' into lacking;
      if lacking <> '{0,0,0}' then
        raise exception 'The export lacks % of the conversations, % of the memberships and % of the messages. Nothing was deleted.',
          lacking[1], lacking[2], lacking[3]
          using hint = 'Drop public.exported_conversations, public.exported_members and public.exported_messages, and export anew.';
      end if;
    end if;
    raise notice 'Deleting % conversations, % memberships and % messages.', n[1], n[2], n[3];
  end if;
end $$;

do $$ begin
  if to_regclass('realtime.messages') is not null then
    drop policy if exists "chat users read their inbox" on realtime.messages;
    drop policy if exists "chat members see who is there" on realtime.messages;
    drop policy if exists "chat members say that they are there" on realtime.messages;
  end if;
end $$;

drop function if exists public.chat_follow();
drop function if exists public.chat_post_system(text, text, jsonb, text, uuid);
drop function if exists public.chat_ensure(text, jsonb);
drop function if exists public.chat_ack(uuid, jsonb);
drop function if exists public.chat_list(uuid, bigint, bigint, jsonb, int);
drop function if exists public.chat_sync(uuid, jsonb, int);
drop function if exists public.chat_send(uuid, jsonb);
drop function if exists public.chat_store(uuid, text, text, jsonb);
drop function if exists public.chat_append(uuid, text, text, jsonb);
drop function if exists public.chat_require_user(uuid);
drop function if exists public.chat_unwrap(jsonb);

drop table if exists public.chat_messages, public.chat_members, public.chat_conversations;
drop function if exists public.chat_broadcast_message();
drop function if exists public.chat_broadcast_receipt();
drop function if exists public.chat_broadcast_members();
drop function if exists public.chat_my_conversations();
drop function if exists public.chat_may_join(text);
drop type if exists public.chat_sent;

commit;
