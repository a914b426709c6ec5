-- How a table of the app gets its conversations: copy this into a migration of your own, behind surechat's, and put in
-- your names. It assumes a table like
--
--   bookings (id uuid primary key, status text, operator_id uuid, client_id uuid, ...)
--
-- The type of the id does not matter: a conversation's id is its text. Apply it again as often as you like.

-- 1. Every booking is a conversation, with the members its row names.
--
-- The first argument is the column of the conversation's id, each further one a role and the column of its user; the role
-- is what `sender_role` will say. A column that is null names nobody. When a column changes from one user to another,
-- the new one joins and the old one leaves, and can neither read nor write there any more. To let earlier members stay,
-- call chat_ensure from a trigger function of your own instead: it never removes anybody.
--
-- Something wrong here (a misspelt column, a user id that is no uuid) is logged as a WARNING and leaves the chat as it
-- was: a booking is never lost because of its chat. Look into the Postgres log once after setting this up.
create or replace trigger chat_booking after insert or update on public.bookings
  for each row execute function public.chat_follow('id', 'operator:operator_id', 'client:client_id');

-- 2. The bookings that are there already.
select public.chat_ensure(b.id::text, (
  select coalesce(jsonb_agg(jsonb_build_object('user_id', m.user_id, 'role', m.role)), '[]')
  from (values ('operator', b.operator_id), ('client', b.client_id)) m (role, user_id)
  where m.user_id is not null
))
from public.bookings b;

-- 3. Optional: a change of status is a message of the system in the conversation.
--
-- Until the transaction that changes the status ends, nobody else can write into that conversation, so keep it short.
-- One that changes many bookings should do it `order by id`, so that two of them never wait for each other in a circle.
create or replace function public.booking_status_message() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
  perform public.chat_post_system(
    new.id::text,
    format('The booking is now %s.', new.status),
    jsonb_build_object('event', 'status', 'from', old.status, 'to', new.status));
  return null;
end $$;
revoke all on function public.booking_status_message() from public, anon, authenticated;

-- Triggers of one event fire in the order of their names: this one comes after chat_booking.
create or replace trigger chat_booking_status after update of status on public.bookings
  for each row when (old.status is distinct from new.status) execute function public.booking_status_message();

-- Deleting a booking leaves its conversation behind. If it shall go as well, with every message in it:
--
--   create function public.booking_chat_delete() returns trigger
--   language plpgsql security definer set search_path = '' as $$
--   begin
--     delete from public.chat_conversations where id = old.id::text;
--     return null;
--   end $$;
--   revoke all on function public.booking_chat_delete() from public, anon, authenticated;
--   create trigger chat_booking_delete after delete on public.bookings
--     for each row execute function public.booking_chat_delete();
