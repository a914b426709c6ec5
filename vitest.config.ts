import { defineConfig } from 'vitest/config'

export default defineConfig({
  plugins: [{
    // The unit tests bring their own core; the generated one need not be there.
    name: 'generated-core',
    enforce: 'pre',
    resolveId: (id) => (id.endsWith('/wasm/surechat.js') ? { id, external: true } : null),
  }],
  test: {
    include: ['tests/unit/**/*.test.{ts,tsx}'],
    environment: 'jsdom',
    restoreMocks: true,
  },
})
