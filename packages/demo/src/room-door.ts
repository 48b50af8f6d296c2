import type { OpenMeshOptions } from '@gatefold/runtime';
import { element } from './elements.ts';

type Ask = NonNullable<OpenMeshOptions['ask']>;

/** Who knocks, where the person at this tab wants to be asked before anybody is let in. */
export class RoomDoor {
  readonly #isAsking = element('room-ask', HTMLInputElement);
  readonly #guests = element('room-guests', HTMLUListElement);

  /** What the room asks for each guest: at once where nobody wants to be asked, else when a button is pressed. */
  readonly ask: Ask = ({ name, hello }) => {
    if (!this.#isAsking.checked) return true;
    return new Promise<boolean>((decide) => {
      const item = document.createElement('li');
      const button = (text: string, isWelcome: boolean): HTMLButtonElement => {
        const made = document.createElement('button');
        made.type = 'button';
        made.textContent = text;
        made.addEventListener('click', () => {
          item.remove();
          decide(isWelcome);
        });
        return made;
      };
      item.append(`${name.slice(0, 6)} · ${hello.name || hello.kind} wants to come in `, button('Let in', true), ' ', button('Refuse', false));
      this.#guests.append(item);
    });
  };

  /** The room is left: those who wait are not let in by it. */
  clear(): void {
    this.#guests.replaceChildren();
  }
}
