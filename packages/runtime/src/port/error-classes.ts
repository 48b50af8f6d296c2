import * as engine from '../engine/errors.ts';
import { GatefoldError } from '../errors.ts';
import * as families from '../model/families/errors.ts';
import * as gguf from '../model/gguf/errors.ts';
import * as tokenizer from '../model/tokenizer/errors.ts';
import * as residency from '../residency/errors.ts';
import * as paging from '../residency/paging-errors.ts';
import * as shards from '../shards/errors.ts';
import * as manifest from '../shards/manifest/errors.ts';
import * as worker from '../worker/errors.ts';
import type { ErrorClasses } from './errors.ts';

/** All classes that the worker may throw. */
export const ERROR_CLASSES: ErrorClasses = new Map(Object.entries({ GatefoldError, ...engine, ...families, ...gguf, ...tokenizer, ...residency, ...paging, ...shards, ...manifest, ...worker }));
