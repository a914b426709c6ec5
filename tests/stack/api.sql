create table public.things (
  id int primary key,
  name text not null check (length(name) < 10),
  data jsonb,
  made_at timestamptz not null default '2026-11-23 04:27:46.023359+00'
);
alter table public.things enable row level security;
create policy "everybody signed in" on public.things to authenticated using (true) with check (id < 100);

create function public.fail(how text) returns void language plpgsql as $$
begin
  if how = 'zero' then
    perform 1 / 0;
  elsif how = 'serialization' then
    raise serialization_failure;
  else
    raise exception using errcode = how, message = 'it was asked for', detail = 'the detail', hint = 'the hint';
  end if;
end $$;

create function public.kind_of(argument jsonb) returns table (kind text, argument_back jsonb, number bigint) language sql as $$
  select jsonb_typeof(argument), argument, 9007199254740991
$$;

create function public.who() returns jsonb language sql stable as $$
  select jsonb_build_object('uid', auth.uid(), 'role', auth.role(), 'email', auth.email(), 'jwt_sub', auth.jwt() ->> 'sub', 'user', current_user)
$$;
