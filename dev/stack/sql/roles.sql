-- What a Supabase project has before its first migration. `postgres`, which runs the migrations, is no superuser there.
do $$ begin
  if not exists (select from pg_roles where rolname = 'anon') then
    create role anon nologin noinherit;
    create role authenticated nologin noinherit;
    create role service_role nologin noinherit bypassrls;
    create role authenticator login noinherit;
    create role supabase_realtime_admin nologin noinherit;
    create role postgres login createrole createdb replication bypassrls;
  end if;
end $$;
grant anon, authenticated, service_role to authenticator, postgres;
grant supabase_realtime_admin to postgres;
alter role anon set statement_timeout = '3s';
alter role authenticated set statement_timeout = '8s';

alter database postgres owner to postgres;
alter schema public owner to postgres;
create schema if not exists extensions;
grant usage on schema public, extensions to postgres, anon, authenticated, service_role;
alter role postgres set search_path = public, extensions;

alter default privileges for role postgres, supabase_admin in schema public grant all on tables to postgres, anon, authenticated, service_role;
alter default privileges for role postgres, supabase_admin in schema public grant all on functions to postgres, anon, authenticated, service_role;
alter default privileges for role postgres, supabase_admin in schema public grant all on sequences to postgres, anon, authenticated, service_role;

do $$ begin
  if not exists (select from pg_publication where pubname = 'supabase_realtime') then
    create publication supabase_realtime;
  end if;
end $$;
alter publication supabase_realtime owner to postgres;

-- PostgREST reads the schema anew when told to; Supabase tells it after every change.
create or replace function extensions.pgrst_ddl_watch() returns event_trigger language plpgsql as $$
begin
  notify pgrst, 'reload schema';
end $$;
drop event trigger if exists pgrst_ddl_watch;
create event trigger pgrst_ddl_watch on ddl_command_end execute function extensions.pgrst_ddl_watch();
drop event trigger if exists pgrst_drop_watch;
create event trigger pgrst_drop_watch on sql_drop execute function extensions.pgrst_ddl_watch();
