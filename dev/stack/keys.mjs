import { createHmac, timingSafeEqual } from 'node:crypto'

export const JWT_SECRET = 'surechat-local-stack-jwt-secret-never-use-it-in-production'

const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url')
const mac = (text) => createHmac('sha256', JWT_SECRET).update(text).digest()

export function signJwt(claims) {
  const body = `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode(claims)}`
  return `${body}.${mac(body).toString('base64url')}`
}

/** The project's keys as Supabase issues them: long-lived tokens that carry nothing but a role. */
export function projectKey(role) {
  return signJwt({ iss: 'supabase', ref: 'surechat', role, iat: 1_700_000_000, exp: 2_500_000_000 })
}

/** @returns {{claims: object} | {error: 'malformed' | 'signer' | 'signature'}} expiry is for the caller to judge */
export function readJwt(token) {
  const parts = String(token).split('.')
  if (parts.length !== 3) return { error: 'malformed' }
  let header, claims
  try {
    header = JSON.parse(Buffer.from(parts[0], 'base64url').toString())
    claims = JSON.parse(Buffer.from(parts[1], 'base64url').toString())
  } catch {
    return { error: 'malformed' }
  }
  if (header === null || typeof header !== 'object' || claims === null || typeof claims !== 'object') return { error: 'malformed' }
  const given = Buffer.from(parts[2], 'base64url')
  const wanted = mac(`${parts[0]}.${parts[1]}`)
  if (header.alg !== 'HS256') return { error: 'signer' }
  if (given.length !== wanted.length || !timingSafeEqual(given, wanted)) return { error: 'signature' }
  return { claims }
}
