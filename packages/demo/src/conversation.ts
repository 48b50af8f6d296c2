import { element } from './elements.ts';
import type { Choice } from './heat-map.ts';

interface ShownToken {
  readonly label: string;
  readonly choice: Choice;
}

/** The answers on the page. Each generated token can be pointed at, or reached with the arrow keys. */
export class Conversation {
  readonly #log = element('log', HTMLDivElement);
  readonly #tokens = new WeakMap<HTMLElement, ShownToken>();
  readonly #onShow: (token: ShownToken | undefined) => void;
  #shown: HTMLElement | undefined;

  /** @param onShow told which token the person points at, or that there is none */
  constructor(onShow: (token: ShownToken | undefined) => void) {
    this.#onShow = onShow;
    this.#log.addEventListener('pointerover', ({ target }) => this.#show(target instanceof HTMLElement ? target : undefined));
    this.#log.addEventListener('pointerleave', () => this.#show(undefined));
    this.#log.addEventListener('keydown', (event) => this.#walk(event));
  }

  hint(text: string): void {
    this.#log.dataset['hint'] = text;
  }

  clear(): void {
    this.#log.replaceChildren();
    this.#show(undefined);
  }

  addUser(text: string): void {
    const message = document.createElement('p');
    message.className = 'message user';
    message.textContent = text;
    this.#append(message);
  }

  /** Starts an answer; `given` is text that it continues. */
  startAnswer(given = ''): Answer {
    const message = document.createElement('p');
    message.className = 'message writing';
    if (given) {
      const start = document.createElement('span');
      start.className = 'given';
      start.textContent = given;
      message.append(start);
    }
    this.#append(message);
    return {
      add: (label, choice) => {
        const token = document.createElement('span');
        token.className = 'token';
        token.textContent = label;
        this.#tokens.set(token, { label, choice });
        message.append(token);
        this.#scroll();
      },
      keep: (count) => {
        for (const token of [...message.querySelectorAll('.token')].slice(count)) token.remove();
      },
      end: () => message.classList.remove('writing'),
    };
  }

  #append(message: HTMLElement): void {
    this.#log.append(message);
    this.#log.scrollTop = this.#log.scrollHeight;
  }

  /** Follows the text unless the person has scrolled up to read. */
  #scroll(): void {
    const { scrollHeight, scrollTop, clientHeight } = this.#log;
    if (scrollHeight - scrollTop - clientHeight < 120) this.#log.scrollTop = scrollHeight;
  }

  #show(target: HTMLElement | undefined): void {
    const token = target && this.#tokens.get(target);
    this.#shown?.classList.remove('shown');
    this.#shown = token ? target : undefined;
    this.#shown?.classList.add('shown');
    this.#onShow(token);
  }

  #walk(event: KeyboardEvent): void {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step === undefined) return;
    const tokens = [...this.#log.querySelectorAll<HTMLElement>('.token')];
    const from = this.#shown ? tokens.indexOf(this.#shown) : step > 0 ? -1 : tokens.length;
    const next = tokens[from + step];
    if (!next) return;
    event.preventDefault();
    this.#show(next);
    next.scrollIntoView({ block: 'nearest' });
  }
}

export interface Answer {
  add(label: string, choice: Choice): void;
  /** Takes back all tokens but the first so many. */
  keep(count: number): void;
  end(): void;
}
