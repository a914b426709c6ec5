import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vite'

const here = (path) => fileURLToPath(new URL(path, import.meta.url))

// An app that installed the package needs none of this: here it is taken from the build.
const surechat = {
  surechat: 'index.js',
  'surechat/react': 'react.js',
  'surechat/react/ui': 'ui.js',
  'surechat/styles.css': 'styles.css',
}

export default defineConfig({
  root: here('.'),
  resolve: {
    alias: Object.entries(surechat).map(([name, file]) => ({
      find: new RegExp(`^${name}$`),
      replacement: here(`../../pkg/${file}`),
    })),
    dedupe: ['react', 'react-dom'],
  },
  build: {
    outDir: here('dist'),
    emptyOutDir: true,
    target: 'es2022',
    rolldownOptions: {
      // `use client` means nothing to an app without server components.
      onLog: (level, log, next) => log.code === 'MODULE_LEVEL_DIRECTIVE' || next(level, log),
    },
  },
  clearScreen: false,
  logLevel: 'warn',
})
