import type { JobEvent } from './job/types.ts';

/** Where a terminal writes. */
export interface Streams {
  readonly stdout: { write(text: string): unknown };
  readonly stderr: { write(text: string): unknown; readonly isTTY?: boolean };
}

/** Results go to stdout; progress (only where a person looks) and warnings go to stderr. */
export class Terminal {
  readonly #streams: Streams;
  /** Whether stdout stands in the middle of a line. */
  #inLine = false;
  /** Whether stderr shows progress. */
  #progress = false;

  constructor(streams: Streams = process) {
    this.#streams = streams;
  }

  show(event: JobEvent): void {
    if (event.kind === 'text') this.text(event.text);
    else if (event.kind === 'warning') this.note(`warning: ${event.message}`);
    else if (event.kind === 'progress') this.#showProgress(event.message);
  }

  /** A piece of text, as it comes. */
  text(text: string): void {
    if (text === '') return;
    this.#clearProgress();
    this.#streams.stdout.write(text);
    this.#inLine = !text.endsWith('\n');
  }

  /** A line of its own on stdout. */
  line(text: string): void {
    this.endLine();
    this.#streams.stdout.write(`${text}\n`);
  }

  /** One line of JSON, in ASCII: no text in it can be taken for the end of the line. */
  json(value: unknown): void {
    this.line(JSON.stringify(value).replace(/[\u007f-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`));
  }

  /** A line on stderr. */
  note(text: string): void {
    this.#clearProgress();
    this.#streams.stderr.write(`${text}\n`);
  }

  endLine(): void {
    this.#clearProgress();
    if (this.#inLine) this.#streams.stdout.write('\n');
    this.#inLine = false;
  }

  #showProgress(message: string): void {
    if (!this.#streams.stderr.isTTY || this.#inLine) return;
    this.#streams.stderr.write(`\r\x1b[2K${message}`);
    this.#progress = true;
  }

  #clearProgress(): void {
    if (this.#progress) this.#streams.stderr.write('\r\x1b[2K');
    this.#progress = false;
  }
}
