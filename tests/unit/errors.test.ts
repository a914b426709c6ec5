import { expect, it } from 'vitest'
import documented from '../../docs/errors.md?raw'

const face = import.meta.glob<string>('../../js/**/*.{ts,tsx}', { query: '?raw', import: 'default', eager: true })
const core = import.meta.glob<string>(
  ['../../src/**/*.rs', '!../../src/**/tests/**', '!../../src/**/tests.rs'], { query: '?raw', import: 'default', eager: true },
)

function codes(files: Record<string, string>, pattern: RegExp): string[] {
  return Object.values(files).flatMap((text) => [...text.matchAll(pattern)].map(([, code]) => code!))
}

it('docs/errors.md has every code there is', () => {
  const found = new Set([
    ...codes(face, /(?:ChatError|refusal|unavailable)\(\s*'([a-z_]+)'/g),
    ...codes(core, /"([a-z_]{6,})",\s*(?:"unable to|[A-Z_]{4,})/g),
    ...codes(core, /code: "([a-z_]+)"/g),
  ])
  for (const known of ['crashed', 'invalid_text', 'needs_auth', 'offline_history', 'storage_failed']) expect(found).toContain(known)
  expect([...found].filter((code) => !documented.includes(`\`${code}\``))).toEqual([])
})
