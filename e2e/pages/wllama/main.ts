// Greedy continuations of one model file by this runtime and by wllama (llama.cpp as WebAssembly, on the CPU).
import * as gatefold from '@gatefold/runtime';
import { Wllama } from '@wllama/wllama';
import wasmUrl from '@wllama/wllama/esm/wasm/wllama.wasm?url';

/** Continues each text by up to `maxTokens` tokens. */
type Continue = (model: string, texts: readonly string[], maxTokens: number) => Promise<string[]>;

declare global {
  interface Window {
    continueBy: Readonly<Record<'gatefold' | 'wllama', Continue>>;
  }
}

window.continueBy = {
  async gatefold(url, texts, maxTokens) {
    const model = await gatefold.load(url, { contextLength: 256, store: 'none' });
    const answers: string[] = [];
    for (const prompt of texts) {
      const { choices } = await model.completions.create({ prompt, max_tokens: maxTokens, temperature: 0 });
      answers.push(choices[0]?.text ?? '');
    }
    await model.dispose();
    return answers;
  },
  async wllama(url, texts, maxTokens) {
    const wllama = new Wllama({ default: wasmUrl });
    const file = await (await fetch(url)).blob();
    await wllama.loadModel([file], { n_ctx: 256, n_parallel: 1, n_gpu_layers: 0 });
    const answers: string[] = [];
    for (const prompt of texts) {
      const { choices } = await wllama.createCompletion({ prompt, max_tokens: maxTokens, temperature: 0, stream: false });
      answers.push(choices[0]?.text ?? '');
    }
    await wllama.exit();
    return answers;
  },
};
