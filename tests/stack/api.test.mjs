// The answers of the Data API look like PostgREST's.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { startStack } from '../../dev/stack/index.mjs'

let stack, operator

before(async () => {
  stack = await startStack({ sqlFiles: [fileURLToPath(new URL('api.sql', import.meta.url))] })
  operator = stack.users.operator
})
after(() => stack.stop())

async function call(path, { body, token, headers, method = 'POST', apikey = stack.apiKey } = {}) {
  const answer = await fetch(`${stack.url}/rest/v1/${path}`, {
    method,
    headers: {
      ...(apikey && { apikey }),
      authorization: `Bearer ${token ?? (await stack.tokenFor(operator.id))}`,
      'content-type': 'application/json',
      ...headers,
    },
    body: body === undefined ? undefined : JSON.stringify(body),
  })
  const text = await answer.text()
  return { status: answer.status, body: text === '' ? null : JSON.parse(text), headers: answer.headers }
}

const insert = (row, options) => call('things', { body: row, headers: { prefer: 'return=representation' }, ...options })

describe('rows', () => {
  test('an inserted row comes back with timestamps as PostgREST writes them', async () => {
    const { status, body } = await insert({ id: 1, name: 'one', data: { a: [1, 'x'] } })
    assert.equal(status, 201)
    assert.deepEqual(body, [{ id: 1, name: 'one', data: { a: [1, 'x'] }, made_at: '2026-11-23T04:27:46.023359+00:00' }])
  })

  test('errors carry status and code', async () => {
    const outcome = async (answer) => {
      const { status, body } = await answer
      assert.deepEqual(Object.keys(body).sort(), ['code', 'details', 'hint', 'message'])
      return [status, body.code]
    }
    await insert({ id: 2, name: 'two' })
    assert.deepEqual(await outcome(insert({ id: 2, name: 'two' })), [409, '23505'])
    assert.deepEqual(await outcome(insert({ id: 3, name: 'much too long' })), [400, '23514'])
    assert.deepEqual(await outcome(insert({ id: 3 })), [400, '23502'])
    assert.deepEqual(await outcome(insert({ id: 'x', name: 'x' })), [400, '22P02'])
    assert.deepEqual(await outcome(insert({ id: 100, name: 'x' })), [403, '42501'])
    assert.deepEqual(await outcome(insert({ id: 3, name: 'x' }, { token: stack.apiKey })), [401, '42501'])
    assert.deepEqual(await outcome(insert({ id: 3, nope: 'x' })), [400, 'PGRST204'])
    assert.deepEqual(await outcome(call('nowhere', { method: 'GET' })), [404, 'PGRST205'])
  })

  test('the service role passes row level security', async () => {
    assert.equal((await insert({ id: 200, name: 'service' }, { token: stack.serviceKey, apikey: stack.serviceKey })).status, 201)
  })

  test('a table made later is found, with the grants of the project', async () => {
    await stack.sql`create table public.later (id int)`
    const deadline = Date.now() + 3000
    let answer
    do answer = await call('later', { method: 'GET' })
    while (answer.status === 404 && Date.now() < deadline)
    assert.deepEqual([answer.status, answer.body], [200, []])
  })
})

describe('functions', () => {
  const fail = async (how) => {
    const { status, body } = await call('rpc/fail', { body: { how } })
    return [status, body.code]
  }

  test('an SQLSTATE gets the status it has in PostgREST', async () => {
    assert.deepEqual(await fail('P0001'), [400, 'P0001'])
    assert.deepEqual(await fail('PT401'), [401, 'PT401'])
    assert.deepEqual(await fail('PT429'), [429, 'PT429'])
    assert.deepEqual(await fail('42501'), [403, '42501'])
    assert.deepEqual(await fail('zero'), [400, '22012'])
    assert.deepEqual(await fail('23503'), [409, '23503'])
    assert.deepEqual(await fail('serialization'), [500, '40001'])
    assert.deepEqual(await fail('55P03'), [500, '55P03'])
    assert.deepEqual(await fail('57014'), [500, '57014'])
    assert.deepEqual(await fail('53300'), [503, '53300'])
    assert.deepEqual(await fail('57P01'), [503, '57P01'])
    assert.deepEqual(await fail('42883'), [404, '42883'])
    assert.deepEqual(await fail('42P01'), [404, '42P01'])
  })

  test('an error has message, details and hint', async () => {
    const { body } = await call('rpc/fail', { body: { how: 'P0001' } })
    assert.deepEqual(body, { code: 'P0001', details: 'the detail', hint: 'the hint', message: 'it was asked for' })
  })

  test('JSON arguments arrive as JSON, and rows as an array', async () => {
    const { status, body } = await call('rpc/kind_of', { body: { argument: [{ a: 1 }] } })
    assert.equal(status, 200)
    assert.deepEqual(body, [{ kind: 'array', argument_back: [{ a: 1 }], number: 9007199254740991 }])
  })

  test('an unknown function or argument is PGRST202', async () => {
    for (const [path, body] of [['rpc/nothing', {}], ['rpc/fail', { what: 1 }]]) {
      const answer = await call(path, { body })
      assert.deepEqual([answer.status, answer.body.code], [404, 'PGRST202'])
    }
  })
})

describe('tokens and keys', () => {
  const who = (options) => call('rpc/who', { body: {}, ...options })

  test('the claims reach the database', async () => {
    assert.deepEqual((await who()).body, { uid: operator.id, role: 'authenticated', email: operator.email, jwt_sub: operator.id, user: 'authenticated' })
    assert.equal((await who({ token: stack.serviceKey })).body.user, 'service_role')
  })

  test('without a token the key is the token', async () => {
    const answer = await fetch(`${stack.url}/rest/v1/rpc/who`, { method: 'POST', headers: { apikey: stack.apiKey } })
    assert.equal((await answer.json()).user, 'anon')
  })

  test('bad tokens', async () => {
    const expired = await stack.tokenFor(operator.id, { expiresIn: -5 })
    const forged = `${expired.slice(0, -4)}AAAA`
    for (const [token, code] of [[expired, 'PGRST303'], [forged, 'PGRST301'], ['no-jwt', 'PGRST301']]) {
      const { status, body } = await who({ token })
      assert.deepEqual([status, body.code], [401, code])
    }
  })

  test('no key or another key is refused at the gateway', async () => {
    assert.deepEqual((await who({ apikey: null })).body.message, 'No API key found in request')
    assert.deepEqual((await who({ apikey: 'sb_publishable_x' })).status, 401)
  })

  test('a browser may ask from anywhere', async () => {
    const answer = await fetch(`${stack.url}/rest/v1/rpc/who`, {
      method: 'OPTIONS',
      headers: { origin: 'http://example.test', 'access-control-request-method': 'POST', 'access-control-request-headers': 'apikey,authorization,content-type' },
    })
    assert.equal(answer.status, 200)
    assert.equal(answer.headers.get('access-control-allow-origin'), '*')
    assert.equal(answer.headers.get('access-control-allow-headers'), 'apikey,authorization,content-type')
    const { headers } = await who()
    assert.match(headers.get('access-control-expose-headers'), /\bDate\b/)
  })
})
