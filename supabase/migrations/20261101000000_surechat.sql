-- surechat: conversations, members, messages, receipts and their live events.
-- Runs on stock Supabase (PostgreSQL 15 and up), needs no extension, and may be applied again at any time, also while
-- people write: an index, policy or trigger that is there is left alone, because making it anew would lock its table.
-- supabase/rollback.sql takes it away; supabase/templates/bookings.sql connects a table of your own.

-- A table of the app's own under one of these names is left alone: nothing else happens then.
do $$
declare
  wanted record;
begin
  for wanted in select * from (values
    ('chat_conversations', 'incarnation'), ('chat_members', 'delivered_seq'), ('chat_messages', 'seq')) w (name, field)
  loop
    if to_regclass('public.' || wanted.name) is not null and not exists (
      select from pg_attribute a where a.attrelid = to_regclass('public.' || wanted.name) and a.attname = wanted.field
    ) then
      raise exception 'There is a table public.% that is not surechat''s. Rename it, and apply this migration again.', wanted.name;
    end if;
  end loop;
end $$;

-- Tables ------------------------------------------------------------------------------------------------------------

create table if not exists public.chat_conversations (
  id text primary key check (char_length(id) between 1 and 200),
  last_seq bigint not null default 0,
  incarnation uuid not null default gen_random_uuid(),
  created_at timestamptz not null default clock_timestamp()
);

create table if not exists public.chat_members (
  conversation_id text not null references public.chat_conversations on delete cascade,
  user_id uuid not null,
  role text not null default 'member',
  delivered_seq bigint not null default 0,
  read_seq bigint not null default 0,
  delivered_at timestamptz,
  read_at timestamptz,
  primary key (conversation_id, user_id)
);

create table if not exists public.chat_messages (
  id uuid primary key,
  conversation_id text not null references public.chat_conversations on delete cascade,
  seq bigint not null,
  kind text not null default 'message' check (kind in ('message', 'edit', 'delete')),
  target_id uuid,
  sender_id uuid,
  sender_role text not null,
  content text not null check (octet_length(content) <= 65536),
  message_type text not null default 'text' check (char_length(message_type) between 1 and 100),
  metadata jsonb not null default '{}' check (jsonb_typeof(metadata) = 'object' and octet_length(metadata::text) <= 65536),
  created_at timestamptz not null default clock_timestamp(),
  edited_at timestamptz,
  deleted_at timestamptz,
  unique (conversation_id, seq),
  constraint chat_messages_target_check check ((kind = 'message') = (target_id is null))
);

do $$ begin
  if to_regclass('public.chat_members_user_idx') is null then
    create index chat_members_user_idx on public.chat_members (user_id, conversation_id);
  end if;
  if to_regclass('public.chat_messages_target_idx') is null then
    create index chat_messages_target_idx on public.chat_messages (target_id) where target_id is not null;
  end if;
end $$;

do $$ begin
  if to_regtype('public.chat_sent') is null then
    create type public.chat_sent as (
      id uuid,
      conversation_id text,
      status text,
      seq bigint,
      created_at timestamptz,
      sender_role text,
      kind text,
      content text
    );
  end if;
end $$;

comment on table public.chat_conversations is
  'One row per conversation. last_seq counts its messages; incarnation changes when it is made anew.';
comment on table public.chat_members is
  'Who takes part in a conversation, in which role, and up to which seq everything was delivered to and read by them.';
comment on table public.chat_messages is
  'Messages, edits and deletes, numbered without holes per conversation. Written by chat_send and chat_post_system only.';
comment on column public.chat_messages.sender_id is 'null: written by the system';
comment on column public.chat_messages.target_id is 'the message an edit or a delete is about';
comment on type public.chat_sent is
  'What became of one row: stored, duplicate, skipped, forbidden, no_conversation, id_conflict or rejected:<SQLSTATE>, and the row as it is stored.';

-- Who may read what -------------------------------------------------------------------------------------------------

create or replace function public.chat_my_conversations() returns setof text
language sql stable security definer set search_path = '' as $$
  select k.conversation_id from public.chat_members k where k.user_id = (select auth.uid())
$$;
comment on function public.chat_my_conversations() is 'The conversations of the signed-in user; the policies below rest on it.';

create or replace function public.chat_may_join(topic text) returns boolean
language sql stable security definer set search_path = '' as $$
  select topic like 'chat:%' and exists (
    select from public.chat_members k
    where k.conversation_id = substr(topic, 6) and k.user_id::text = (select auth.jwt() ->> 'sub'))
$$;
comment on function public.chat_may_join(text) is
  'Whether this is the topic of a conversation of the signed-in user, for typing and presence.';

do $$
declare
  wanted record;
begin
  for wanted in
    select w.*, c.relrowsecurity as is_secured, exists (
      select from pg_policy p where p.polrelid = c.oid and p.polname = w.policy) as is_there
    from (values
      ('chat_conversations', 'members read their conversations', 'id'),
      ('chat_members', 'members read each other', 'conversation_id'),
      ('chat_messages', 'members read messages', 'conversation_id')) w (name, policy, field)
    join pg_class c on c.oid = to_regclass('public.' || w.name)
  loop
    if not wanted.is_secured then
      execute format('alter table public.%I enable row level security', wanted.name);
    end if;
    if not wanted.is_there then
      execute format('create policy %I on public.%I for select to authenticated using (%I in (select public.chat_my_conversations()))',
        wanted.policy, wanted.name, wanted.field);
    end if;
  end loop;
end $$;

-- The service role may clean up, but a row it wrote itself would break the numbering.
revoke all on public.chat_conversations, public.chat_members, public.chat_messages from public, anon, authenticated, service_role;
grant select on public.chat_conversations, public.chat_members, public.chat_messages to authenticated;
grant select, delete on public.chat_conversations, public.chat_members, public.chat_messages to service_role;

-- Sending -----------------------------------------------------------------------------------------------------------

create or replace function public.chat_unwrap(argument jsonb) returns jsonb
language sql immutable set search_path = '' as $$
  select case when jsonb_typeof(argument) = 'string' then (argument #>> '{}')::jsonb else argument end
$$;
comment on function public.chat_unwrap(jsonb) is 'Some gateways encode a JSON argument twice; this undoes it.';

create or replace function public.chat_require_user(expected_user uuid) returns uuid
language plpgsql stable set search_path = '' as $$
begin
  if auth.uid() is null or auth.uid() is distinct from expected_user then
    raise sqlstate 'PT401' using message = 'The token does not belong to the expected user.';
  end if;
  return expected_user;
end $$;
comment on function public.chat_require_user(uuid) is 'Answers HTTP 401 unless the signed-in user is the one the client believes to act for.';

create or replace function public.chat_append(sender uuid, conversation text, as_role text, item jsonb)
returns public.chat_messages language plpgsql set search_path = '' as $$
declare
  m public.chat_messages;
  target public.chat_messages;
begin
  m.id := item ->> 'id';
  m.kind := coalesce(item ->> 'kind', 'message');
  m.target_id := item ->> 'target_id';
  m.content := case when m.kind = 'delete' then '' else item ->> 'content' end;
  m.created_at := clock_timestamp();

  -- A message is deleted under its own id with the version 8 or 9, once. Nobody else may take that id before.
  if substr(m.id::text, 15, 1) in ('8', '9') and exists (
    select from public.chat_messages g
    where g.id = any (array(select overlay(m.id::text placing to_hex(v) from 15)::uuid from generate_series(0, 15) v))
      and g.sender_id is distinct from sender
  ) then
    raise unique_violation using constraint = 'chat_messages_pkey', message = 'The id is kept for a delete.';
  end if;

  if m.kind = 'delete' and m.target_id = m.id then
    m.deleted_at := m.created_at;
  elsif m.kind in ('edit', 'delete') then
    select g.* into target from public.chat_messages g
    where g.id = m.target_id and g.conversation_id = conversation and g.sender_id is not distinct from sender
      and (g.kind = 'message' or g.target_id = g.id);
    if target.id is null then
      raise no_data_found using message = 'There is no message of this sender with the id in target_id.';
    elsif m.kind = 'edit' and target.deleted_at is not null then
      raise exception 'The message was deleted.';
    end if;
  end if;

  update public.chat_conversations c set last_seq = c.last_seq + 1 where c.id = conversation returning c.last_seq into m.seq;
  insert into public.chat_messages
    (id, conversation_id, seq, kind, target_id, sender_id, sender_role, content, message_type, metadata, created_at, deleted_at)
  values
    (m.id, conversation, m.seq, m.kind, m.target_id, sender, as_role, m.content,
     coalesce(item ->> 'message_type', 'text'), coalesce(nullif(item -> 'metadata', 'null'), '{}'), m.created_at, m.deleted_at)
  returning * into m;

  if m.kind = 'edit' then
    update public.chat_messages g set content = m.content, edited_at = m.created_at where g.id = target.id;
  elsif m.kind = 'delete' and target.deleted_at is null then
    update public.chat_messages g set content = '', metadata = '{}', deleted_at = m.created_at where g.id = target.id;
    update public.chat_messages g set content = '', metadata = '{}' where g.target_id = target.id and g.kind = 'edit';
  end if;
  return m;
end $$;
comment on function public.chat_append(uuid, text, text, jsonb) is
  'Stores one new row under the next seq, or raises. The caller holds the lock of the conversation. A delete of its own id is a tombstone: a message that arrives later under this id is a duplicate.';

create or replace function public.chat_store(sender uuid, conversation text, as_role text, item jsonb)
returns public.chat_sent language plpgsql set search_path = '' as $$
declare
  answer public.chat_sent;
  m public.chat_messages;
  violated text;
begin
  answer.conversation_id := conversation;
  answer.id := item ->> 'id';
  if answer.id is null or conversation is null then
    raise not_null_violation using message = 'A row needs id and conversation_id.';
  end if;

  select g.* into m from public.chat_messages g where g.id = answer.id;
  if m.sender_id is not distinct from sender and m.conversation_id = conversation then
    answer.status := 'duplicate';
  elsif as_role is null then
    answer.status := case when exists (select from public.chat_conversations c where c.id = conversation)
      then 'forbidden' else 'no_conversation' end;
    return answer;
  elsif m.id is not null then
    answer.status := 'id_conflict';
    return answer;
  else
    m := public.chat_append(sender, conversation, as_role, item);
    answer.status := 'stored';
  end if;
  answer.seq := m.seq;
  answer.created_at := m.created_at;
  answer.sender_role := m.sender_role;
  answer.kind := m.kind;
  answer.content := m.content;
  return answer;

exception when others then
  -- What is no fault of this row fails the request, so that it is tried again.
  if left(sqlstate, 2) in ('08', '25', '40', '53', '55', '57', '58', 'XX') or (left(sqlstate, 2) = '42' and sqlstate <> '42501') then
    raise;
  end if;
  get stacked diagnostics violated = constraint_name;
  answer.status := case when sqlstate = '23505' and violated = 'chat_messages_pkey' then 'id_conflict' else 'rejected:' || sqlstate end;
  return answer;
end $$;
comment on function public.chat_store(uuid, text, text, jsonb) is
  'Stores one row and says what became of it. A row that is refused leaves nothing behind, not even a number. as_role null: not a member.';

create or replace function public.chat_send(expected_user uuid, batch jsonb) returns setof public.chat_sent
language plpgsql security definer set search_path = '' as $$
declare
  uid uuid := public.chat_require_user(expected_user);
  roles jsonb;
  stopped text[] := '{}';
  item jsonb;
  conversation text;
  answer public.chat_sent;
begin
  batch := public.chat_unwrap(batch);
  if jsonb_typeof(batch) is distinct from 'array' then
    raise invalid_parameter_value using message = 'batch must be a JSON array.';
  end if;

  -- Everybody locks in the same order, so nobody waits in a circle. Each statement below sees what committed before.
  select coalesce(jsonb_object_agg(l.id, l.role), '{}') into roles from (
    select c.id, k.role
    from public.chat_members k join public.chat_conversations c on c.id = k.conversation_id
    where k.user_id = uid and c.id in (select b.value ->> 'conversation_id' from jsonb_array_elements(batch) b)
    order by c.id collate "C"
    for no key update of c
  ) l;

  for item in select b.value from jsonb_array_elements(batch) with ordinality b (value, n) order by b.n loop
    conversation := item ->> 'conversation_id';
    if conversation = any (stopped) then
      answer := null;
      answer.id := substring(item ->> 'id' from '(?i)^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$');
      answer.conversation_id := conversation;
      answer.status := 'skipped';
    else
      answer := public.chat_store(uid, conversation, roles ->> conversation, item);
      if answer.status not in ('stored', 'duplicate') then
        stopped := stopped || conversation;
      end if;
    end if;
    return next answer;
  end loop;
end $$;
comment on function public.chat_send(uuid, jsonb) is
  'Stores a batch [{id, conversation_id, kind, target_id, content, message_type, metadata}] and answers one row for each, in the same order. A conversation stops at its first row that is neither stored nor duplicate: the rows behind it are skipped. Sending the same rows again is harmless.';

-- Reading and acknowledging -----------------------------------------------------------------------------------------

create or replace function public.chat_sync(expected_user uuid, cursors jsonb, max_rows int default 200)
returns table (
  conversation_id text,
  status text,
  incarnation uuid,
  last_seq bigint,
  through_seq bigint,
  first_seq bigint,
  rows jsonb,
  members jsonb
)
language plpgsql stable security definer set search_path = '' as $$
declare
  uid uuid := public.chat_require_user(expected_user);
  page_rows constant bigint := 50;
  most_bytes constant bigint := 1000000;
  row_limit bigint := least(greatest(coalesce(max_rows, 200), 1), 500);
begin
  cursors := public.chat_unwrap(cursors);
  if jsonb_typeof(cursors) is distinct from 'object' then
    raise invalid_parameter_value using message = 'cursors must be a JSON object.';
  end if;

  return query
  with asked as (
    select e.key as id, (e.value ->> 'seq')::bigint as seq, (e.value ->> 'before')::bigint as before,
      lower(e.value ->> 'incarnation') as incarnation
    from jsonb_each(cursors) e
  ), mine as (
    select c.id, c.incarnation, c.last_seq, greatest(a.seq, 0) as seq,
      case when a.before is not null then least(greatest(a.before, 1), c.last_seq + 1) end as before,
      a.before is not null or a.seq is null or c.last_seq < a.seq
        or coalesce(a.incarnation <> c.incarnation::text, false) as fresh
    from asked a
    join public.chat_conversations c on c.id = a.id
    join public.chat_members k on k.conversation_id = c.id and k.user_id = uid
  ), wanted as (
    select m.*, case when m.fresh then least(page_rows, coalesce(m.before - 1, m.last_seq), row_limit)
      else m.last_seq - m.seq end as count
    from mine m
  ), queued as (
    select w.*, sum(w.count) over (order by w.fresh desc, w.count, w.id collate "C") - w.count as ahead
    from wanted w
  ), granted as (
    -- A first page comes whole or not at all: half of one could never be completed by asking upwards.
    select q.*, case
      when q.fresh then case when q.ahead + q.count <= row_limit then q.count else 0 end
      else greatest(least(q.count, row_limit - q.ahead), 0)
    end::bigint as room
    from queued q
  ), allowed as (
    select g.*, case when not g.fresh then g.seq when g.room = g.count then g.last_seq - g.room else 0 end as start
    from granted g
  ), weighed as (
    -- Many long rows in one answer would never arrive over a slow line. The first row always fits.
    select r.id, count(*) filter (where r.fits) as fitting, min(r.seq) filter (where r.fits) as lowest
    from (
      select a.id, s.seq, sum(s.size) over (order by a.ahead, a.id collate "C", s.place) - s.size < most_bytes as fits
      from allowed a
      cross join lateral (
        (select g.seq, g.seq as place, octet_length(g.content) + pg_column_size(g.metadata) as size from public.chat_messages g
         where not a.fresh and g.conversation_id = a.id and g.seq > a.start
         order by g.seq limit a.room)
        union all
        (select g.seq, -g.seq, octet_length(g.content) + pg_column_size(g.metadata) from public.chat_messages g
         where a.fresh and g.conversation_id = a.id and g.seq < coalesce(a.before, a.last_seq + 1)
           and g.seq > case when a.before is null then a.start else 0 end
         order by g.seq desc limit a.room)
      ) s
    ) r
    group by r.id
    having not bool_and(r.fits)
  ), placed as (
    -- A page of fewer rows is whole as well: it begins higher.
    select a.id, a.incarnation, a.last_seq, a.before, a.fresh, coalesce(w.fitting, a.room) as room,
      case when a.fresh and w.fitting > 0 then w.fitting else a.count end as count,
      case when not a.fresh or w.id is null then a.start else coalesce(w.lowest - 1, 0) end as start
    from allowed a left join weighed w on w.id = a.id
  ), paged as (
    select p.*, page.count as found, page.through, page.list,
      case when p.before is null then p.start + 1 when p.room = p.count then coalesce(page.first, 1) else p.before end as first
    from placed p
    left join lateral (
      select count(*) as count, min(r.seq) as first, max(r.seq) as through, jsonb_agg(to_jsonb(r) order by r.seq) as list
      from (
        (select g.* from public.chat_messages g
         where p.before is null and g.conversation_id = p.id and g.seq > p.start
         order by g.seq limit p.room)
        union all
        (select g.* from public.chat_messages g
         where p.before is not null and g.conversation_id = p.id and g.seq < p.before
         order by g.seq desc limit p.room)
      ) r
    ) page on true
  )
  select
    a.id,
    case when p.id is not null then 'ok' when c.id is not null then 'forbidden' else 'no_conversation' end,
    p.incarnation,
    p.last_seq,
    case when p.before is not null then p.before - 1
      when p.room = p.count or p.found < p.room then p.last_seq else coalesce(p.through, p.start) end,
    case when not p.fresh or exists (
      select from public.chat_messages g where g.conversation_id = p.id and g.seq < p.first
    ) then p.first when p.id is not null then 1 end,
    case when p.id is not null then coalesce(p.list, '[]') end,
    case when p.id is not null then (
      select jsonb_agg(
        jsonb_build_object('user_id', k.user_id, 'role', k.role, 'delivered_seq', k.delivered_seq, 'read_seq', k.read_seq)
        order by k.user_id)
      from public.chat_members k where k.conversation_id = p.id
    ) end
  from asked a
  left join paged p on p.id = a.id
  left join public.chat_conversations c on c.id = a.id;
end $$;
comment on function public.chat_sync(uuid, jsonb, int) is
  'Answers {"<conversation>": {"seq", "incarnation"}} with what came after each cursor, complete from first_seq up to through_seq. Without a cursor, or with one from another incarnation, it is the newest page; with {"before": seq}, the page that ends below it. A page is complete from 1 where nothing older is left. Rows, and what they weigh, are limited over all conversations together; where through_seq is below last_seq, ask again.';

create or replace function public.chat_list(
  expected_user uuid,
  since bigint default null,
  held bigint default null,
  cursors jsonb default '{}',
  max_rows int default 200
) returns jsonb language plpgsql stable security definer set search_path = '' as $$
#variable_conflict use_variable
declare
  uid uuid := public.chat_require_user(expected_user);
  page_rows constant bigint := 50;
  most_unread constant bigint := 1000;
  -- What is told apart are the 32 bits of a row's xmin, of which half are older than a number and half are newer.
  mask constant bigint := 4294967295;
  half constant bigint := 2147483648;
  horizon bigint := pg_snapshot_xmin(pg_current_snapshot())::text::bigint;
  total bigint;
  sum_seq numeric;
  ids jsonb;
  changed jsonb;
  answers jsonb;
begin
  cursors := coalesce(public.chat_unwrap(cursors), '{}');
  if jsonb_typeof(cursors) is distinct from 'object' then
    raise invalid_parameter_value using message = 'cursors must be a JSON object.';
  end if;
  -- A number from another life of the database, or one too old to be told from a new one, says nothing.
  if since < 3 or since > horizon or horizon - since > half / 2 then
    since := null;
  end if;

  select count(*), coalesce(sum(c.last_seq), 0), jsonb_agg(c.id) into total, sum_seq, ids
  from public.chat_members k join public.chat_conversations c on c.id = k.conversation_id
  where k.user_id = uid;

  -- Whatever a snapshot does not see was written by a transaction that is not older than the oldest one then at work:
  -- its number is `since`. The newest row from before was seen, and with it, under the conversation's lock, all below.
  select coalesce(jsonb_object_agg(c.id, jsonb_build_object(
    'incarnation', c.incarnation,
    'seq', case when since is null then greatest(k.delivered_seq, c.last_seq - page_rows) else coalesce((
      select g.seq from public.chat_messages g
      where g.conversation_id = c.id and ((g.xmin::text::bigint - since) & mask) >= half
      order by g.seq desc limit 1), 0) end)), '{}') into changed
  from public.chat_members k join public.chat_conversations c on c.id = k.conversation_id
  where k.user_id = uid and (since is null or ((c.xmin::text::bigint - since) & mask) < half or exists (
    select from public.chat_members o where o.conversation_id = c.id and ((o.xmin::text::bigint - since) & mask) < half));

  select coalesce(jsonb_agg(to_jsonb(s) || jsonb_build_object('unread', u.unread, 'last_message', n.newest)), '[]') into answers
  from public.chat_sync(uid, changed || cursors, max_rows) s
  left join public.chat_members k on k.conversation_id = s.conversation_id and k.user_id = uid and s.status = 'ok'
  left join lateral (
    select count(*) as unread from (
      select from public.chat_messages g
      where g.conversation_id = k.conversation_id and g.seq > k.read_seq
        and g.kind = 'message' and g.sender_id is distinct from uid and g.deleted_at is null
      order by g.seq limit most_unread
    ) counted
  ) u on true
  left join lateral (
    select to_jsonb(g) || jsonb_build_object(
      'content', left(g.content, 300),
      'metadata', case when octet_length(g.metadata::text) <= 1000 then g.metadata else '{}' end) as newest
    from public.chat_messages g
    where g.conversation_id = k.conversation_id and g.kind = 'message'
    order by g.seq desc limit 1
  ) n on true;

  return jsonb_build_object(
    'since', horizon, 'full', since is null, 'total', total, 'sum', sum_seq,
    'ids', case when since is not null and held is distinct from total then coalesce(ids, '[]') end,
    'conversations', answers);
end $$;
comment on function public.chat_list(uuid, bigint, bigint, jsonb, int) is
  'What changed in the conversations of the user since an answer that said {"since"}: each as chat_sync answers it, from where that answer left off or from its cursor here, with unread (1000: so many or more) and last_message (its text cut to 300 characters). Without since, all of them. held: how many the client knows; where that is another number than total, ids names them all. sum adds up every last_seq. What was seen before may come again; nothing that was not is left out.';

create or replace function public.chat_ack(expected_user uuid, acks jsonb)
returns table (conversation_id text, delivered_seq bigint, read_seq bigint)
language plpgsql security definer set search_path = '' as $$
declare
  uid uuid := public.chat_require_user(expected_user);
  ack record;
begin
  acks := public.chat_unwrap(acks);
  if jsonb_typeof(acks) is distinct from 'array' then
    raise invalid_parameter_value using message = 'acks must be a JSON array.';
  end if;

  for ack in
    select a.value ->> 'conversation_id' as id,
      max(greatest((a.value ->> 'delivered')::bigint, (a.value ->> 'read')::bigint, 0)) as delivered,
      max(greatest((a.value ->> 'read')::bigint, 0)) as read
    from jsonb_array_elements(acks) a
    group by 1 order by (a.value ->> 'conversation_id') collate "C"
  loop
    update public.chat_members k set
      delivered_seq = greatest(k.delivered_seq, least(ack.delivered, c.last_seq)),
      read_seq = greatest(k.read_seq, least(ack.read, c.last_seq)),
      delivered_at = case when least(ack.delivered, c.last_seq) > k.delivered_seq then clock_timestamp() else k.delivered_at end,
      read_at = case when least(ack.read, c.last_seq) > k.read_seq then clock_timestamp() else k.read_at end
    from public.chat_conversations c
    where c.id = ack.id and k.conversation_id = ack.id and k.user_id = uid
      and (least(ack.delivered, c.last_seq) > k.delivered_seq or least(ack.read, c.last_seq) > k.read_seq);
  end loop;

  return query
  select k.conversation_id, k.delivered_seq, k.read_seq
  from public.chat_members k
  where k.user_id = uid and k.conversation_id in (select a.value ->> 'conversation_id' from jsonb_array_elements(acks) a);
end $$;
comment on function public.chat_ack(uuid, jsonb) is
  'Takes [{conversation_id, delivered, read}]: everything up to these numbers is stored, or was shown, at this user. Never falls, never exceeds last_seq; read implies delivered. Answers the values that hold now.';

-- For the server side of the app ------------------------------------------------------------------------------------

create or replace function public.chat_ensure(conversation_id text, members jsonb) returns void
language plpgsql security definer set search_path = '' as $$
#variable_conflict use_column
declare
  member record;
begin
  members := public.chat_unwrap(members);
  if jsonb_typeof(members) is distinct from 'array' then
    raise invalid_parameter_value using message = 'members must be a JSON array.';
  end if;

  insert into public.chat_conversations (id) values (chat_ensure.conversation_id) on conflict do nothing;
  for member in
    select distinct on (user_id) (m.value ->> 'user_id')::uuid as user_id, coalesce(m.value ->> 'role', 'member') as role
    from jsonb_array_elements(chat_ensure.members) with ordinality m (value, n)
    order by user_id, m.n
  loop
    update public.chat_members k set role = member.role
    where k.conversation_id = chat_ensure.conversation_id and k.user_id = member.user_id and k.role <> member.role;
    while not exists (
      select from public.chat_members k where k.conversation_id = chat_ensure.conversation_id and k.user_id = member.user_id)
    loop
      -- Who deletes the conversation now waits for this; who has just done so left nothing to lock, and it is made anew.
      insert into public.chat_members (conversation_id, user_id, role, delivered_seq, read_seq)
      select c.id, member.user_id, member.role, c.last_seq, c.last_seq
      from public.chat_conversations c where c.id = chat_ensure.conversation_id for key share
      on conflict do nothing;
      insert into public.chat_conversations (id) values (chat_ensure.conversation_id) on conflict do nothing;
    end loop;
  end loop;
end $$;
comment on function public.chat_ensure(text, jsonb) is
  'Makes the conversation and the members [{user_id, role}] that are not there yet and updates roles. Removes nobody. What was written before somebody joined counts as read by them.';

create or replace function public.chat_post_system(
  conversation_id text,
  content text,
  metadata jsonb default '{}',
  message_type text default 'system',
  id uuid default gen_random_uuid()
) returns setof public.chat_sent language plpgsql security definer set search_path = '' as $$
#variable_conflict use_column
declare
  as_role text;
begin
  select 'system' into as_role from public.chat_conversations c where c.id = chat_post_system.conversation_id for no key update;
  return next public.chat_store(null, chat_post_system.conversation_id, as_role, jsonb_build_object(
    'id', chat_post_system.id,
    'content', chat_post_system.content,
    'message_type', chat_post_system.message_type,
    'metadata', public.chat_unwrap(chat_post_system.metadata)));
end $$;
comment on function public.chat_post_system(text, text, jsonb, text, uuid) is
  'Writes a message of the system. With an id of your own it may be repeated. Answers like chat_send.';

create or replace function public.chat_follow() returns trigger
language plpgsql security definer set search_path = '' as $$
declare
  now_row jsonb := to_jsonb(new);
  old_row jsonb := case when tg_op = 'UPDATE' then to_jsonb(old) end;
  members jsonb := '[]';
  gone uuid[] := '{}';
  argument text;
  field text;
begin
  if now_row ->> tg_argv[0] is null then
    raise exception 'column % holds no conversation id', tg_argv[0];
  end if;
  foreach argument in array tg_argv[1:] loop
    field := split_part(argument, ':', 2);
    if not now_row ? field then
      raise exception 'there is no column %', field;
    end if;
    if now_row ->> field is not null then
      members := members || jsonb_build_object('role', split_part(argument, ':', 1), 'user_id', now_row ->> field);
    end if;
    if old_row ->> field is distinct from now_row ->> field and old_row ->> field is not null then
      gone := gone || (old_row ->> field)::uuid;
    end if;
  end loop;

  perform public.chat_ensure(now_row ->> tg_argv[0], members);
  delete from public.chat_members k
  where k.conversation_id = now_row ->> tg_argv[0] and k.user_id = any (gone)
    and k.user_id not in (select (m.value ->> 'user_id')::uuid from jsonb_array_elements(members) m);
  return null;

exception when others then
  if left(sqlstate, 2) = '40' then
    raise;
  end if;
  raise warning 'chat_follow on %: %', tg_table_name, sqlerrm;
  return null;
end $$;
comment on function public.chat_follow() is
  'Trigger for a table of the app: chat_follow(''<id column>'', ''<role>:<user column>'', ...) keeps a conversation with these members for every row. Somebody whose column changes to another user leaves. An error becomes a warning and never fails the app''s own statement.';

-- Live events: hints only. Whatever is lost here, chat_sync answers. ------------------------------------------------

create or replace function public.chat_broadcast_message() returns trigger
language plpgsql security definer set search_path = '' as $$
declare
  payload jsonb := jsonb_build_object(
    'conversation_id', new.conversation_id, 'seq', new.seq, 'id', new.id,
    'incarnation', (select c.incarnation from public.chat_conversations c where c.id = new.conversation_id));
begin
  if octet_length(new.content) <= 4096 and octet_length(new.metadata::text) <= 4096 then
    payload := payload || jsonb_build_object('row', to_jsonb(new));
  end if;
  perform realtime.send(payload, 'message', 'chat-user:' || k.user_id, true)
  from public.chat_members k where k.conversation_id = new.conversation_id;
  return null;
exception when others then
  raise warning 'chat: no live event for message %: %', new.id, sqlerrm;
  return null;
end $$;
comment on function public.chat_broadcast_message() is 'Tells every member''s inbox topic of a new row; a long row is left out and fetched.';

create or replace function public.chat_broadcast_receipt() returns trigger
language plpgsql security definer set search_path = '' as $$
declare
  payload jsonb := jsonb_build_object(
    'conversation_id', new.conversation_id, 'user_id', new.user_id, 'role', new.role,
    'delivered_seq', new.delivered_seq, 'read_seq', new.read_seq,
    'incarnation', (select c.incarnation from public.chat_conversations c where c.id = new.conversation_id));
begin
  perform realtime.send(payload, 'receipt', 'chat-user:' || k.user_id, true)
  from public.chat_members k where k.conversation_id = new.conversation_id;
  return null;
exception when others then
  raise warning 'chat: no live event for a receipt in %: %', new.conversation_id, sqlerrm;
  return null;
end $$;
comment on function public.chat_broadcast_receipt() is 'Tells every member''s inbox topic how far somebody has received and read.';

create or replace function public.chat_broadcast_members() returns trigger
language plpgsql security definer set search_path = '' as $$
declare
  conversation text := coalesce(new.conversation_id, old.conversation_id);
  somebody uuid := coalesce(new.user_id, old.user_id);
  most constant int := 100;
  told text := coalesce(current_setting('surechat.told', true), '');
  member uuid;
begin
  -- By a row that was written since, chat_list knows that there is something to say to those who stay. Nobody is waited
  -- for: who leaves has locked a member already, and who deletes the conversation locks it first.
  if tg_op = 'DELETE' then
    update public.chat_members k set delivered_seq = k.delivered_seq
    where k.conversation_id = conversation and k.user_id = (
      select o.user_id from public.chat_members o where o.conversation_id = conversation for no key update skip locked limit 1);
  end if;

  begin
    for member in
      select somebody
      union all
      select k.user_id from public.chat_members k
      where k.conversation_id = conversation and k.user_id <> somebody and char_length(told) < 36 * most
    loop
      if char_length(told) < 36 * most and strpos(told, member::text) = 0 then
        told := told || member::text;
        perform set_config('surechat.told', told, true);
        perform realtime.send('{}', 'members', 'chat-user:' || member, true);
      end if;
    end loop;
  exception when others then
    raise warning 'chat: no live event for the members of %: %', conversation, sqlerrm;
  end;
  return null;
end $$;
comment on function public.chat_broadcast_members() is
  'Tells the inbox topics of everybody in a conversation that who takes part in one has changed; chat_list says how. One transaction tells each user once, and a hundred at most: what changes more at once shows when the others next ask, within a minute.';

do $$
declare
  there name[] := array(
    select t.tgname from pg_trigger t where t.tgrelid in ('public.chat_members'::regclass, 'public.chat_messages'::regclass));
begin
  if not 'chat_broadcast_message' = any (there) then
    create trigger chat_broadcast_message after insert on public.chat_messages
      for each row execute function public.chat_broadcast_message();
  end if;
  if not 'chat_broadcast_receipt' = any (there) then
    create trigger chat_broadcast_receipt after update of delivered_seq, read_seq on public.chat_members
      for each row when (old.delivered_seq <> new.delivered_seq or old.read_seq <> new.read_seq)
      execute function public.chat_broadcast_receipt();
  end if;
  if not 'chat_broadcast_members' = any (there) then
    create trigger chat_broadcast_members after insert or delete or update of role on public.chat_members
      for each row execute function public.chat_broadcast_members();
  end if;
end $$;

-- Policies of one table are evaluated together: one that raises would shut every private channel of the project. So
-- the topic is compared as text with the claim, and nothing is cast.
do $$
declare
  there name[] := array(select p.polname from pg_policy p where p.polrelid = to_regclass('realtime.messages'));
begin
  if to_regclass('realtime.messages') is null then
    return;
  end if;
  if not 'chat users read their inbox' = any (there) then
    create policy "chat users read their inbox" on realtime.messages for select to authenticated
      using (extension = 'broadcast' and (select realtime.topic()) = 'chat-user:' || (select auth.jwt() ->> 'sub'));
  end if;
  if not 'chat members see who is there' = any (there) then
    create policy "chat members see who is there" on realtime.messages for select to authenticated
      using (extension in ('broadcast', 'presence') and (select public.chat_may_join(realtime.topic())));
  end if;
  if not 'chat members say that they are there' = any (there) then
    create policy "chat members say that they are there" on realtime.messages for insert to authenticated
      with check (extension in ('broadcast', 'presence') and (select public.chat_may_join(realtime.topic())));
  end if;
end $$;

-- Who may call what -------------------------------------------------------------------------------------------------

revoke all on function
  public.chat_my_conversations(), public.chat_may_join(text), public.chat_unwrap(jsonb), public.chat_require_user(uuid),
  public.chat_append(uuid, text, text, jsonb), public.chat_store(uuid, text, text, jsonb),
  public.chat_send(uuid, jsonb), public.chat_sync(uuid, jsonb, int), public.chat_ack(uuid, jsonb),
  public.chat_list(uuid, bigint, bigint, jsonb, int), public.chat_ensure(text, jsonb), public.chat_post_system(text, text, jsonb, text, uuid),
  public.chat_follow(), public.chat_broadcast_message(), public.chat_broadcast_receipt(), public.chat_broadcast_members()
from public, anon, authenticated, service_role;
grant execute on function
  public.chat_my_conversations(), public.chat_may_join(text),
  public.chat_send(uuid, jsonb), public.chat_sync(uuid, jsonb, int), public.chat_ack(uuid, jsonb),
  public.chat_list(uuid, bigint, bigint, jsonb, int)
to authenticated;
grant execute on function public.chat_ensure(text, jsonb), public.chat_post_system(text, text, jsonb, text, uuid) to service_role;
