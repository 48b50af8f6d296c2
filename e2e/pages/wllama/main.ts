// Greedy continuations of one model file by this runtime and by wllama (llama.cpp as WebAssembly, on the CPU).
import * as gatefold from '@gatefold/runtime';
import { Wllama } from '@wllama/wllama';
import wasmUrl from '@wllama/wllama/esm/wasm/wllama.wasm?url';

interface Start {
  readonly text: string;
  /** How many may follow. */
  readonly tokens: number;
}

/** Continues each text. */
type Continue = (model: string, starts: readonly Start[]) => Promise<string[]>;

declare global {
  interface Window {
    continueBy: Readonly<Record<'gatefold' | 'wllama', Continue>>;
  }
}

window.continueBy = {
  async gatefold(url, starts) {
    const model = await gatefold.load(url, { contextLength: 256, store: 'none' });
    const answers: string[] = [];
    for (const { text: prompt, tokens } of starts) {
      const { choices } = await model.completions.create({ prompt, max_tokens: tokens, temperature: 0 });
      answers.push(choices[0]?.text ?? '');
    }
    await model.dispose();
    return answers;
  },
  async wllama(url, starts) {
    const wllama = new Wllama({ default: wasmUrl });
    const file = await (await fetch(url)).blob();
    await wllama.loadModel([file], { n_ctx: 256, n_parallel: 1, n_gpu_layers: 0 });
    const answers: string[] = [];
    for (const { text: prompt, tokens } of starts) {
      const { choices } = await wllama.createCompletion({ prompt, max_tokens: tokens, temperature: 0, stream: false });
      answers.push(choices[0]?.text ?? '');
    }
    await wllama.exit();
    return answers;
  },
};
