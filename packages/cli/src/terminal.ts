import type { JobEvent } from './job/types.ts';

/** Text goes to stdout; progress (only on a terminal) and warnings go to stderr. */
export class Terminal {
  #openLine = false;
  #progress = false;

  show(event: JobEvent): void {
    if (event.kind === 'text') {
      this.#clearProgress();
      process.stdout.write(event.text);
      if (event.text) this.#openLine = !event.text.endsWith('\n');
    } else if (event.kind === 'warning') this.note(`warning: ${event.message}`);
    else if (process.stderr.isTTY) {
      process.stderr.write(`\r\x1b[2K${event.message}`);
      this.#progress = true;
    }
  }

  endLine(): void {
    this.#clearProgress();
    if (this.#openLine) process.stdout.write('\n');
    this.#openLine = false;
  }

  line(text: string): void {
    this.endLine();
    process.stdout.write(`${text}\n`);
  }

  note(text: string): void {
    this.#clearProgress();
    process.stderr.write(`${text}\n`);
  }

  #clearProgress(): void {
    if (this.#progress) process.stderr.write('\r\x1b[2K');
    this.#progress = false;
  }
}
