// `npm run samples`: has `gatefold generate` write the samples of docs/demo-model.md anew, below the line that says so.
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '..');
const PAGE = join(ROOT, 'docs/demo-model.md');
const MODELS = 'packages/demo/models';
const MARK = '<!-- Below this line: npm run samples -->\n';
/** As the demo page samples, but for the length. */
const SETTINGS = '--temperature 0.7 --top-k 40 --top-p 0.95 --min-p 0.02 --repeat-penalty 1.05 --max-tokens 120'.split(' ');

const BEGINNINGS = [
  'Once upon a time, there was a little fox',
  'Lily had a red ball.',
  'One day, a small frog found a shiny key.',
  'The old bear was hungry',
  'Tom and his dog went to the park.',
  'It was a cold day, and the snow',
  'There was a king who',
  'Mia wanted to bake a cake with her mom.',
  'A little bird could not fly.',
  'In the deep blue sea lived',
];
const CHATS = [
  'Tell me a story about a cat and a mouse.',
  'Tell me a story about a brave little boat.',
  'Hello!',
  'How are you today?',
  'Tell me a fable about a proud lion. It should teach: be kind to small friends.',
];

/** @type {readonly { file: string, label: string }[]} */
const models = JSON.parse(readFileSync(join(ROOT, MODELS, 'models.json'), 'utf8'));
const page = readFileSync(PAGE, 'utf8');
if (!page.includes(MARK)) throw new Error(`docs/demo-model.md lacks the line ${MARK}`);
const byHand = page.slice(0, page.indexOf(MARK) + MARK.length);
writeFileSync(PAGE, `${byHand}\n${models.map(samplesOf).join('\n')}`);

/** @param {{ file: string, label: string }} model */
function samplesOf({ file, label }) {
  const completions = BEGINNINGS.map((text, i) => sample(file, '--prompt', text, i + 1));
  const chats = CHATS.map((text, i) => sample(file, '--chat', text, i + 1));
  return `## ${label}\n\n\`${MODELS}/${file}\`\n\n### Completions\n\n${completions.join('\n')}\n### Chats\n\n${chats.join('\n')}`;
}

/**
 * What was given and what the model wrote, as Markdown; seed `number`.
 * @param {string} file
 * @param {'--prompt' | '--chat'} how
 * @param {string} text
 * @param {number} number
 */
function sample(file, how, text, number) {
  const args = ['gatefold', 'generate', '--model', `${MODELS}/${file}`, how, text, ...SETTINGS, '--seed', String(number), '--json'];
  const { status, stdout, stderr } = spawnSync('npx', args, { cwd: ROOT, encoding: 'utf8' });
  if (status !== 0) throw new Error(`npx ${args.join(' ')}: ${stderr}`);
  /** @type {{ text: string }} */
  const written = JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '');
  process.stderr.write(`${file} ${how} ${number}\n`);
  const quoted = `**${text}**${how === '--chat' ? `\n\n${written.text.trimStart()}` : written.text}`.trimEnd().replace(/\n/g, '\n> ').replace(/> $/gm, '>');
  return `${number}.\n\n> ${quoted}\n`;
}
