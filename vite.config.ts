// The demo page: `vite`, `vite build`, `vite preview`. The library has its own: packages/runtime/vite.config.ts.
import { fileURLToPath } from 'node:url';
import basicSsl from '@vitejs/plugin-basic-ssl';
import { defineConfig } from 'vite';
import { offline } from './scripts/vite/offline.ts';
import { relay } from './scripts/vite/relay.ts';
import { stripWesl } from './scripts/vite/strip-wesl.ts';

export default defineConfig(({ mode }) => ({
  root: fileURLToPath(new URL('./packages/demo', import.meta.url)),
  base: './',
  // Other devices of the network have WebGPU only over https; its certificate is made here, so browsers warn once.
  plugins: [stripWesl(), offline(), relay(), ...(mode === 'lan' ? [basicSsl()] : [])],
  worker: { format: 'es', plugins: () => [stripWesl()] },
  build: { target: 'es2022', outDir: 'dist', emptyOutDir: true },
  preview: { port: 5173 },
}));
