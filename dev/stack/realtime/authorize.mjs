import { readJwt } from '../keys.mjs'

const now = () => Math.floor(Date.now() / 1000)

const EXPIRED = 'Token has expired'

/** What Realtime says of a bad token: at the handshake, at a join, and to an access_token push. */
const REFUSALS = {
  malformed: ['The token provided is not a valid JWT', 'MalformedJWT', ':token_malformed'],
  signature: ['Failed to validate JWT signature', 'JwtSignatureError', ':signature_error'],
  signer: ['Failed to generate JWT signer, check your JWT secret or JWKS configuration', 'JwtSignerError', ':error_generating_signer'],
  claims: ['Fields `role` and `exp` are required in JWT', 'InvalidJWTToken', 'Fields `role` and `exp` are required in JWT'],
}

function refusal(kind) {
  const [text, code, pushed] = REFUSALS[kind]
  return { refused: { atConnect: text, atJoin: `${code}: ${text}`, atPush: pushed } }
}

/** @returns {{claims: object} | {refused: {atConnect: string, atJoin: string, atPush: string}}} */
export function judgeToken(token) {
  const { claims, error } = readJwt(token)
  if (error) return refusal(error)
  if (typeof claims.role !== 'string' || typeof claims.exp !== 'number') return refusal('claims')
  return claims.exp <= now() ? refusedAsExpired(claims) : { claims }
}

export function refusedAsExpired(claims) {
  const since = expiredText(claims)
  return { refused: { atConnect: EXPIRED, atJoin: `InvalidJWTToken: ${since}`, atPush: since } }
}

export function expiredText(claims) {
  return `${EXPIRED} ${Math.max(0, now() - claims.exp)} seconds ago`
}

/** Lets what follows in the transaction run as this user, the way Realtime and PostgREST do it. */
export async function actAs(tx, claims, topic = '') {
  await tx`select
    set_config('request.jwt.claims', ${JSON.stringify(claims)}, true),
    set_config('request.jwt.claim.sub', ${claims.sub ?? ''}, true),
    set_config('request.jwt.claim.role', ${claims.role}, true),
    set_config('realtime.topic', ${topic}, true),
    set_config('role', ${claims.role}, true)`
}

class Rollback extends Error {}

/** Runs `work` in a transaction that leaves nothing behind; a policy that raises counts as a refusal. */
async function inVain(sql, fallback, work) {
  let result = fallback
  try {
    await sql.begin(async (tx) => {
      result = await work(tx)
      throw new Rollback()
    })
  } catch (error) {
    if (!(error instanceof Rollback)) return fallback
  }
  return result
}

/** Which extensions of a private topic the user may receive: probe rows are put in, read as the user, and rolled back. */
export function readable(sql, claims, topic) {
  return inVain(sql, [], async (tx) => {
    const rows = await tx`insert into realtime.messages (topic, extension) values (${topic}, 'broadcast'), (${topic}, 'presence') returning id`
    await actAs(tx, claims, topic)
    const seen = await tx`select extension from realtime.messages where id in ${tx(rows.map((row) => row.id))}`
    return seen.map((row) => row.extension)
  })
}

export function writable(sql, claims, topic, extension) {
  return inVain(sql, false, async (tx) => {
    await actAs(tx, claims, topic)
    await tx`insert into realtime.messages (topic, extension) values (${topic}, ${extension})`
    return true
  })
}
