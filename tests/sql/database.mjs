// The schema of a project as its owner handles it.

export function databaseOf({ sql, connect }) {
  /** Runs a file as `postgres`, who owns a project's schema and is no superuser. Answers what it said meanwhile. */
  async function apply(text) {
    const said = []
    const owner = connect({ username: 'postgres', max: 1, onnotice: ({ message }) => said.push(message) })
    try {
      await owner.unsafe(text).simple()
    } finally {
      await owner.end({ timeout: 5 })
    }
    return said
  }

  /** Everything there is in the schemas of a project, in words. */
  async function catalog() {
    const found = await sql`
      with names as (select oid, nspname from pg_namespace where nspname in ('public', 'realtime', 'auth'))
      select concat_ws(' ', 'function', p.oid::regprocedure, pg_get_functiondef(p.oid), p.proacl, obj_description(p.oid, 'pg_proc')) as line
      from pg_proc p join names n on n.oid = p.pronamespace where p.prokind = 'f'
      union all
      select concat_ws(' ', 'relation', c.oid::regclass, c.relkind, c.relrowsecurity, c.relowner::regrole, c.relacl, obj_description(c.oid, 'pg_class'))
      from pg_class c join names n on n.oid = c.relnamespace where c.relkind not in ('t', 'i')
      union all
      select concat_ws(' ', 'type', t.oid::regtype, t.typtype, t.typacl, obj_description(t.oid, 'pg_type'))
      from pg_type t join names n on n.oid = t.typnamespace
      union all
      select concat_ws(' ', 'column', c.oid::regclass, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
        pg_get_expr(d.adbin, d.adrelid), col_description(c.oid, a.attnum))
      from pg_attribute a join pg_class c on c.oid = a.attrelid join names n on n.oid = c.relnamespace
      left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
      where a.attnum > 0 and not a.attisdropped and c.relkind not in ('t', 'i')
      union all
      select concat_ws(' ', 'index', pg_get_indexdef(i.indexrelid))
      from pg_index i join pg_class c on c.oid = i.indrelid join names n on n.oid = c.relnamespace
      union all
      select concat_ws(' ', 'constraint', k.conrelid::regclass, k.conname, pg_get_constraintdef(k.oid))
      from pg_constraint k join names n on n.oid = k.connamespace
      union all
      select concat_ws(' ', 'trigger', pg_get_triggerdef(t.oid))
      from pg_trigger t join pg_class c on c.oid = t.tgrelid join names n on n.oid = c.relnamespace where not t.tgisinternal
      union all
      select concat_ws(' ', 'policy', to_jsonb(p)) from pg_policies p join names n on n.nspname = p.schemaname
      union all
      select concat_ws(' ', 'default', to_jsonb(d)) from pg_default_acl d
      order by 1`
    return found.map(({ line }) => line)
  }

  return { apply, catalog }
}
