import { afterEach, expect, test, vi } from 'vitest';
import { absoluteSource } from '../../src/client/source.ts';

afterEach(() => vi.unstubAllGlobals());

test('URLs become absolute by the page’s base, since a worker has another', () => {
  vi.stubGlobal('document', { baseURI: 'https://host.test/app/' });
  expect(absoluteSource('models/a.gguf')).toBe('https://host.test/app/models/a.gguf');
  expect(absoluteSource(new URL('https://other.test/a.gguf'))).toBe('https://other.test/a.gguf');
});

test('without a page, by the worker’s own address', () => {
  vi.stubGlobal('location', { href: 'https://host.test/assets/worker.js' });
  expect(absoluteSource('/a.gguf')).toBe('https://host.test/a.gguf');
});

test('what is no URL is refused', () => {
  expect(() => absoluteSource('a.gguf')).toThrow(expect.objectContaining({ code: 'source-url' }));
});

test('Files and Blobs are left as they are', () => {
  const blob = new Blob(['x']);
  const files = [new File(['x'], 'a.gguf')];
  expect(absoluteSource(blob)).toBe(blob);
  expect(absoluteSource(files)).toBe(files);
});
