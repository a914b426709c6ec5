-- The tables of the recordings.
create table public.messages (
  id uuid primary key default gen_random_uuid(),
  booking_id uuid not null,
  sender_id uuid not null,
  body text not null,
  created_at timestamptz not null default clock_timestamp(),
  read_at timestamptz
);
alter table public.messages replica identity full;
alter table public.messages enable row level security;
create table public.booking_members (booking_id uuid, user_id uuid);
create policy "members read" on public.messages for select to authenticated
  using (exists (select from public.booking_members m where m.booking_id = messages.booking_id and m.user_id = (select auth.uid())));
alter publication supabase_realtime add table public.messages;

create table public.notes (id bigint generated always as identity primary key, body text, big text);
alter publication supabase_realtime add table public.notes;

create policy "members read topics" on realtime.messages for select to authenticated
  using (exists (select from public.booking_members m where m.user_id = (select auth.uid()) and 'booking:' || m.booking_id = realtime.topic()));
create policy "members write topics" on realtime.messages for insert to authenticated
  with check (exists (select from public.booking_members m where m.user_id = (select auth.uid()) and 'booking:' || m.booking_id = realtime.topic()));

create function public.tell_booking() returns trigger language plpgsql security definer as $$
begin
  perform realtime.broadcast_changes('booking:' || coalesce(new.booking_id, old.booking_id), tg_op, tg_op, tg_table_name, tg_table_schema, new, old);
  return null;
end $$;
create trigger tell_booking after insert or update or delete on public.messages for each row execute function public.tell_booking();
