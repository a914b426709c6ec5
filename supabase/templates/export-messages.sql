-- Copies everything that surechat holds into three plain tables, which supabase/rollback.sql leaves alone. It deletes
-- nothing, and stops with an error when a table of one of these names is there already: no earlier copy is overwritten.
-- What people write while it runs is in it whole or not at all. supabase/templates/restore-export.sql puts it back.
--
--   psql "$DATABASE_URL" --set ON_ERROR_STOP=1 --file supabase/templates/export-messages.sql
--
-- Nobody but the owner and the service role may read them. Columns: as in chat_conversations, chat_members and
-- chat_messages; edits and deletes are rows of their own (kind), and their targets are as they are now.

begin isolation level repeatable read;

create table public.exported_conversations as table public.chat_conversations;
create table public.exported_members as table public.chat_members;
create table public.exported_messages as table public.chat_messages;

alter table public.exported_conversations enable row level security;
alter table public.exported_members enable row level security;
alter table public.exported_messages enable row level security;
revoke all on public.exported_conversations, public.exported_members, public.exported_messages from public, anon, authenticated;

commit;
