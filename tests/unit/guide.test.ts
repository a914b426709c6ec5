import { expect, it } from 'vitest'
import guide from '../fixtures/guide.md?raw'

const IMPORTS = {
  '@/lib/hooks/useChatWithDelivery': 'surechat/react',
  '@/components/ui/chat-status-indicator': 'surechat/react/ui',
}

const files = import.meta.glob<string>('../types/guide/*.tsx', { query: '?raw', import: 'default', eager: true })

it('the code that is type-checked is the guide\'s, but for the import paths', () => {
  const blocks = [...guide.matchAll(/^```(?:typescript|tsx)\n(.*?)^```$/gms)].map(([, block]) =>
    Object.entries(IMPORTS).reduce((code, [from, to]) => code.replace(`'${from}'`, `'${to}'`), block!))
  const checked = Object.keys(files).sort().map((name) => files[name]!.match(/^\/\/ guide\n(.*)^\/\/ end of guide$/ms)?.[1])
  expect(blocks).toHaveLength(9)
  expect(checked).toEqual(blocks)
})
