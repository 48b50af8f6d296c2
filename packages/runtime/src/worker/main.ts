import { expose } from 'comlink';
import { carryErrors } from '../port/errors.ts';
import { ModelHost } from './host.ts';

carryErrors();
expose(new ModelHost());
