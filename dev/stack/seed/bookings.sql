-- An app's own table, as the guide has it. Each booking is a conversation between its operator and its client.
create table if not exists public.bookings (
  id uuid primary key default gen_random_uuid(),
  title text not null,
  customer text not null,
  status text not null default 'confirmed' check (status in ('requested', 'confirmed', 'completed', 'cancelled')),
  starts_at timestamptz not null,
  operator_id uuid references auth.users,
  client_id uuid references auth.users,
  created_at timestamptz not null default now()
);
alter table public.bookings enable row level security;

drop policy if exists "parties read their bookings" on public.bookings;
create policy "parties read their bookings" on public.bookings for select to authenticated
  using ((select auth.uid()) in (operator_id, client_id));
drop policy if exists "operators change their bookings" on public.bookings;
create policy "operators change their bookings" on public.bookings for update to authenticated
  using ((select auth.uid()) = operator_id) with check ((select auth.uid()) = operator_id);
drop policy if exists "operators add bookings" on public.bookings;
create policy "operators add bookings" on public.bookings for insert to authenticated
  with check ((select auth.uid()) = operator_id);

do $$ begin
  if not exists (select from pg_publication_tables where pubname = 'supabase_realtime' and schemaname = 'public' and tablename = 'bookings') then
    alter publication supabase_realtime add table public.bookings;
  end if;
  if to_regproc('public.chat_follow') is not null then
    drop trigger if exists chat_booking on public.bookings;
    create trigger chat_booking after insert or update on public.bookings
      for each row execute function public.chat_follow('id', 'operator:operator_id', 'client:client_id');
  end if;
end $$;

insert into public.bookings (id, title, customer, status, starts_at, operator_id, client_id)
select d.id::uuid, d.title, d.customer, d.status, date_trunc('hour', now()) + d.starts_in::interval, o.id, c.id
from auth.users o, auth.users c, (values
  ('b0000000-0000-4000-8000-000000000001', 'Harbour tour, two hours', 'Mara Lindqvist', 'confirmed', '1 day'),
  ('b0000000-0000-4000-8000-000000000002', 'Airport transfer, four seats', 'Mara Lindqvist', 'confirmed', '3 days'),
  ('b0000000-0000-4000-8000-000000000003', 'Sunset sailing', 'Mara Lindqvist', 'requested', '6 days'),
  ('b0000000-0000-4000-8000-000000000004', 'Old town on foot', 'Mara Lindqvist', 'completed', '-4 days'),
  ('b0000000-0000-4000-8000-000000000005', 'Kayaks for a family', 'Mara Lindqvist', 'cancelled', '9 days')
) d(id, title, customer, status, starts_in)
where o.email = 'operator@surechat.test' and c.email = 'client@surechat.test'
on conflict (id) do nothing;
