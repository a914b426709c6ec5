-- Carries the rows of a messages table of your own over into surechat's. Copy this, put in your names, and run it once the
-- migration and supabase/templates/bookings.sql have been applied. It assumes a table like
--
--   messages (id uuid, booking_id, sender_role text, content text, message_type text, metadata jsonb, created_at timestamptz)
--
-- It is one transaction. Your table is only read, and stays as it is. Run it again at any time, for instance when pages of
-- the old version have written in the meantime: what is there already is left alone.
--
-- Each booking's rows are numbered by created_at and id, behind what its conversation holds already, because numbers that
-- browsers know must not change: so run it before people write through surechat, or old rows stand behind newer ones.
-- They are not announced live; open pages find them when they next catch up, within a minute. To whom everything was
-- delivered (or read) before, it is afterwards. While it runs, sending waits.

begin;

lock table public.chat_conversations in exclusive mode;
lock table public.messages in share mode;

-- 1. Your names. The types of id and booking_id do not matter, as long as an id is a uuid when it is written as text.
create temporary view old_messages as
  select
    m.id::text::uuid as id,
    m.booking_id::text as conversation_id,
    coalesce(m.sender_role, 'member') as sender_role,
    coalesce(m.content, '') as content,
    coalesce(nullif(left(m.message_type, 100), ''), 'text') as message_type,
    case
      when m.metadata is null or m.metadata = 'null' then '{}'
      when jsonb_typeof(m.metadata) = 'object' then m.metadata
      else jsonb_build_object('value', m.metadata)
    end as metadata,
    coalesce(m.created_at, now()) as created_at
  from public.messages m;

-- 2. What can be carried over: the limits are those of chat_messages.
create temporary view old_messages_judged as
  select o.*, case
      when g.conversation_id = o.conversation_id then 'carried over'
      when g.id is not null then 'not carried over: another conversation has a message with this id'
      when o.id is null then 'not carried over: no id'
      when coalesce(char_length(o.conversation_id), 0) not between 1 and 200 then 'not carried over: no booking, or an id of more than 200 characters'
      when octet_length(o.content) > 65536 then 'not carried over: content of more than 65536 bytes'
      when octet_length(o.metadata::text) > 65536 then 'not carried over: metadata of more than 65536 bytes'
    end as outcome
  from old_messages o left join public.chat_messages g on g.id = o.id;

-- A booking that is gone has a conversation without members: kept, and seen by nobody.
select public.chat_ensure(o.conversation_id, '[]')
from (select distinct conversation_id from old_messages_judged where outcome is null) o;

alter table public.chat_messages disable trigger chat_broadcast_message;
alter table public.chat_members disable trigger chat_broadcast_receipt;

-- The sender is the one member of that role. Where there is none, or several, only the role is known.
insert into public.chat_messages
  (id, conversation_id, seq, sender_id, sender_role, content, message_type, metadata, created_at)
select
  o.id, o.conversation_id,
  c.last_seq + row_number() over (partition by o.conversation_id order by o.created_at, o.id),
  (select min(k.user_id::text)::uuid from public.chat_members k
   where k.conversation_id = o.conversation_id and k.role = o.sender_role having count(*) = 1),
  o.sender_role, o.content, o.message_type, o.metadata, o.created_at
from old_messages_judged o join public.chat_conversations c on c.id = o.conversation_id
where o.outcome is null;

with ends as (
  select g.conversation_id, max(g.seq) as last_seq from public.chat_messages g group by g.conversation_id
)
update public.chat_members k set
  delivered_seq = case when k.delivered_seq = c.last_seq then e.last_seq else k.delivered_seq end,
  read_seq = case when k.read_seq = c.last_seq then e.last_seq else k.read_seq end
from ends e join public.chat_conversations c on c.id = e.conversation_id
where k.conversation_id = c.id and e.last_seq > c.last_seq and c.last_seq in (k.delivered_seq, k.read_seq);

with ends as (
  select g.conversation_id, max(g.seq) as last_seq from public.chat_messages g group by g.conversation_id
)
update public.chat_conversations c set last_seq = e.last_seq
from ends e where e.conversation_id = c.id and e.last_seq > c.last_seq;

alter table public.chat_messages enable trigger chat_broadcast_message;
alter table public.chat_members enable trigger chat_broadcast_receipt;

-- 3. What became of your rows. For single ones: select * from old_messages_judged where outcome <> 'carried over'.
create temporary table import_result on commit preserve rows as
  select outcome, count(*) as rows from old_messages_judged group by outcome;
drop view old_messages_judged, old_messages;

commit;

select * from import_result order by outcome;
drop table import_result;
