import type { LoadOptions, Model } from '@gatefold/runtime';
import type { ByteSource } from '../../packages/runtime/src/shards/source.ts';
import type { LocalModelService } from '../../packages/runtime/src/worker/service.ts';
import { measureGatefold } from '../compare/gatefold.ts';
import { measureLoad } from '../compare/load.ts';
import type { GatefoldJob, LoadJob, LoadReport, SpeedReport, WllamaJob } from '../compare/types.ts';
import { measureMoeBlock } from '../moe-block/measure.ts';
import type { MoeBlockJob, MoeBlockReport } from '../moe-block/types.ts';
import { measureOnDemand, measureReadBack } from '../on-demand/measure.ts';
import type { OnDemandJob, OnDemandReport, ReadBackJob, ReadBackReport } from '../on-demand/types.ts';
import { measurePerplexity } from '../perplexity/measure.ts';
import type { PerplexityJob, PerplexityReport } from '../perplexity/types.ts';
import { measureProducts } from '../products/measure.ts';
import type { ProductsJob, ProductsReport } from '../products/types.ts';
import { measureProfile } from '../profile/measure.ts';
import type { ProfileJob, ProfileReport } from '../profile/types.ts';
import type { QmoeJob, QmoeReport } from '../qmoe/types.ts';
import { measureStorage } from '../storage/measure.ts';
import type { StorageJob, StorageReport } from '../storage/types.ts';
import { measureUpload } from '../upload/measure.ts';
import type { UploadJob, UploadReport } from '../upload/types.ts';

/** What each kind of measurement needs to know; plain data, since it may cross into a page. The model is the environment's. */
export interface JobOf {
  readonly gatefold: GatefoldJob;
  readonly wllama: WllamaJob;
  readonly load: LoadJob;
  readonly 'moe-block': MoeBlockJob;
  readonly qmoe: QmoeJob;
  readonly products: ProductsJob;
  readonly profile: ProfileJob;
  readonly perplexity: PerplexityJob;
  readonly ondemand: OnDemandJob;
  readonly readback: ReadBackJob;
  readonly upload: UploadJob;
  readonly storage: StorageJob;
}

/** What each kind of measurement gives. */
export interface ReportOf {
  readonly gatefold: SpeedReport;
  readonly wllama: SpeedReport;
  readonly load: LoadReport;
  readonly 'moe-block': MoeBlockReport;
  readonly qmoe: QmoeReport;
  readonly products: ProductsReport;
  readonly profile: ProfileReport;
  readonly perplexity: PerplexityReport;
  readonly ondemand: OnDemandReport;
  readonly readback: ReadBackReport;
  readonly upload: UploadReport;
  readonly storage: StorageReport;
}

/** Says how far a measurement is. */
export type Emit = (message: string) => void;

/** What differs between a page and Node. */
export interface Environment {
  readonly gpu: GPU | undefined;
  /** The browser, or Node, with its version. */
  readonly program: string;
  /** The model's file. */
  source(): ByteSource;
  /** Loads the model as an embedder would: in a page through its worker. */
  load(options: LoadOptions): Promise<Model>;
  /** Loads the model in this thread, with the engine's inside in reach. */
  open(options: LoadOptions): Promise<LocalModelService>;
  /** Runs the peer on the same model; only a page can. */
  wllama(job: WllamaJob, emit: Emit): Promise<SpeedReport>;
  /** Runs onnxruntime-web's MoE block; only a page can. */
  qmoe(job: QmoeJob, emit: Emit): Promise<QmoeReport>;
}

type Measurements = { readonly [Kind in keyof JobOf]: (job: JobOf[Kind], environment: Environment, emit: Emit) => Promise<ReportOf[Kind]> };

const MEASURE: Measurements = {
  gatefold: measureGatefold,
  wllama: (job, environment, emit) => environment.wllama(job, emit),
  load: measureLoad,
  'moe-block': measureMoeBlock,
  qmoe: (job, environment, emit) => environment.qmoe(job, emit),
  products: measureProducts,
  profile: measureProfile,
  perplexity: measurePerplexity,
  ondemand: measureOnDemand,
  readback: measureReadBack,
  upload: measureUpload,
  storage: measureStorage,
};

/** Runs one measurement with the engine of wherever this code runs. */
export function runJob<Kind extends keyof JobOf>(kind: Kind, job: JobOf[Kind], environment: Environment, emit: Emit): Promise<ReportOf[Kind]> {
  return MEASURE[kind](job, environment, emit);
}
