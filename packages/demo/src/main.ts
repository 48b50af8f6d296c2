import { load, type Model, type ModelInfo, type ModelSource, type Session } from '@gatefold/runtime';
import { BudgetSlider } from './budget-slider.ts';
import { Conversation } from './conversation.ts';
import { element, showText } from './elements.ts';
import { formatBytes, formatCount } from './format.ts';
import { HeatMap } from './heat-map.ts';
import { ModelPicker } from './model-picker.ts';
import { Numbers } from './numbers.ts';
import { ProgressBar } from './progress-bar.ts';
import { RoomPanel } from './room-panel.ts';
import { readSampling } from './sampling-form.ts';
import { StoragePanel } from './storage-panel.ts';
import embedded from '../models/models.json';

const heatMap = new HeatMap();
const conversation = new Conversation((token) => heatMap.show(token));
const numbers = new Numbers();
const progress = new ProgressBar();
const prompt = element('prompt', HTMLTextAreaElement);
const send = element('send', HTMLButtonElement);
const stop = element('stop', HTMLButtonElement);
const errorText = element('error', HTMLParagraphElement);
const warningText = element('warning', HTMLParagraphElement);

/** How often the picture shows where experts are while they come and go. */
const LOOK_MS = 250;

let loading: AbortController | undefined;
let answering: AbortController | undefined;
let model: Model | undefined;
let session: Session | undefined;
/** The chat so far, as the template renders it. */
let messages: { role: string; content: string }[] = [];

let source: ModelSource | readonly File[] | undefined;
let looking = false;

const picker = new ModelPicker(embedded, (chosen) => void open(chosen));
const budget = new BudgetSlider(() => {
  if (source !== undefined) void open(source);
});
const storage = new StoragePanel(fail, () => void look());
const room = new RoomPanel(fail);

async function open(chosen: ModelSource | readonly File[]): Promise<void> {
  source = chosen;
  loading?.abort();
  answering?.abort();
  const mine = new AbortController();
  loading = mine;
  setReady(undefined);
  storage.reset(undefined);
  room.reset(undefined);
  showText(errorText, undefined);
  showText(warningText, undefined);
  await model?.dispose();
  model = undefined;
  session = undefined;
  const opened = performance.now();
  try {
    const { gpuBudget } = budget;
    const loaded = await load(chosen, {
      signal: mine.signal,
      ...(gpuBudget === undefined ? {} : { gpuBudget, warmUp: true }),
      onWarmUp: (event) => storage.show(event),
      onProgress: (event) => {
        if (loading === mine) progress.show(event);
      },
      onWarning: ({ message }) => showText(warningText, message),
    });
    if (loading !== mine) return await loaded.dispose();
    model = loaded;
    session = await loaded.createSession();
    progress.hide();
    setReady(loaded.info);
    storage.reset(loaded);
    room.reset(loaded, typeof chosen === 'string' ? new URL(chosen, document.baseURI).href : undefined);
    await look();
    numbers.showMemory(await loaded.memory());
    document.documentElement.dataset['readyMs'] = (performance.now() - opened).toFixed(0);
  } catch (error) {
    if (mine.signal.aborted) return;
    progress.hide();
    fail(error);
  }
}

/** Enables the composer for a loaded model, or disables it. */
function setReady(info: ModelInfo | undefined): void {
  prompt.disabled = !info;
  send.disabled = !info;
  prompt.placeholder = info ? 'Ask for a story, or say hello …' : 'Loading the model …';
  startOver();
  if (!info) return;
  heatMap.reset(info);
  numbers.showAdapter(info.adapter);
  conversation.hint(`${info.spec.name} is ready: ${formatCount(info.parameterCount)} parameters, ${describeExperts(info)}, ${formatBytes(info.fileBytes)}.`);
  if (matchMedia('(min-width: 56rem)').matches) prompt.focus();
}

function describeExperts({ spec }: ModelInfo): string {
  const moe = spec.layers.flatMap(({ ffn }) => (ffn.kind === 'moe' ? [ffn] : []));
  const [first] = moe;
  if (!first) return 'dense';
  const counts = moe.map(({ experts }) => experts);
  const range = [...new Set([Math.min(...counts), Math.max(...counts)])].join(' to ');
  return `${range} experts a layer of which ${first.topK} ${first.topK === 1 ? 'works' : 'work'} on each token`;
}

function startOver(): void {
  answering?.abort();
  messages = [];
  conversation.clear();
  heatMap.clear();
}

async function answer(text: string): Promise<void> {
  if (!model || !session) return;
  const chat = element('composer', HTMLFormElement).querySelector<HTMLInputElement>('input[name=mode]:checked')?.value === 'chat';
  const mine = new AbortController();
  answering = mine;
  stop.hidden = false;
  send.disabled = true;
  showText(errorText, undefined);
  if (chat) {
    messages.push({ role: 'user', content: text });
    conversation.addUser(text);
  }
  const shown = conversation.startAnswer(chat ? '' : text);
  const started = performance.now();
  const written: string[] = [];
  let count = 0;
  let start = 0;
  let firstAt = 0;
  try {
    const promptIds = chat
      ? await model.tokenize(await model.applyChatTemplate(messages, { addGenerationPrompt: true }), { special: true, bos: false })
      : await model.tokenize(text);
    const tokens = session.generate(
      { promptIds, ...readSampling() },
      { signal: mine.signal, onPrefill: ({ tokens: done, tokensTotal }) => progress.showPrefill(done, tokensTotal) },
    );
    for (;;) {
      const next = await tokens.next();
      if (next.done) {
        numbers.showStats(next.value.stats);
        break;
      }
      if (count++ === 0) {
        firstAt = performance.now();
        start = next.value.position;
        numbers.showFirstToken(firstAt - started);
      } else numbers.showDecodeRate(((count - 1) * 1000) / (performance.now() - firstAt));
      // In a room tokens may be taken back: a peer that computed for them was found out.
      const index = next.value.position - start;
      if (index < written.length) {
        written.length = Math.max(0, index);
        shown.keep(written.length);
      }
      written.push(next.value.text);
      heatMap.add(next.value.experts);
      shown.add(next.value.text, next.value.experts);
      void look();
      void room.look();
    }
    numbers.showMemory(await model.memory());
  } catch (error) {
    if (!mine.signal.aborted) fail(error);
  } finally {
    shown.end();
    progress.hide();
    // What the last tokens moved.
    setTimeout(() => void look(), LOOK_MS);
    if (chat) messages.push({ role: 'assistant', content: written.join('') });
    if (answering === mine) {
      stop.hidden = true;
      send.disabled = false;
    }
  }
}

/** Shows where experts are, unless that was asked a moment ago. */
async function look(): Promise<void> {
  if (looking || !model) return;
  looking = true;
  try {
    heatMap.showPlaces(await model.expertPlaces());
  } catch {
    // The model is gone: another one is being loaded.
  }
  setTimeout(() => (looking = false), LOOK_MS);
}

function fail(error: unknown): void {
  showText(errorText, error instanceof Error ? error.message : String(error));
}

element('composer', HTMLFormElement).addEventListener('submit', (event) => {
  event.preventDefault();
  const text = prompt.value.trim();
  if (!text || send.disabled) return;
  prompt.value = '';
  void answer(text);
});
prompt.addEventListener('keydown', (event) => {
  if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    element('composer', HTMLFormElement).requestSubmit();
  }
});
stop.addEventListener('click', () => answering?.abort());
document.addEventListener('keydown', ({ key }) => {
  if (key === 'Escape') answering?.abort();
});
element('clear', HTMLButtonElement).addEventListener('click', startOver);

// Opens again without a network; the model itself lies in IndexedDB.
if (import.meta.env.PROD && 'serviceWorker' in navigator) void navigator.serviceWorker.register('./service-worker.js');

const { model: roomModel } = RoomPanel.invitation ?? {};
if (roomModel === undefined) picker.start();
else void open(roomModel);
