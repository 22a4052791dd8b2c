// The worker's settings.
import {
  host,
  integer,
  list,
  optional,
  port,
  readSettings,
  type SettingsOf,
  secret,
  setting,
  size,
  text,
  timeout,
  url,
} from '../env.ts'
import { serviceSettings } from '../lifecycle.ts'
import { redisSettings } from '../redis/settings.ts'
import { tracingSettings } from '../telemetry/settings.ts'
import { defaultInferenceMemory, defaultProcesses } from './resources.ts'

export const workerSettings = {
  ...redisSettings,
  ...serviceSettings,
  ...tracingSettings,
  modelsDirs: setting(
    'MODELS_DIR',
    'models',
    list,
    'directories of the models, separated by commas, one folder per model; of two with one name the first is served',
  ),
  models: setting(
    'MODELS',
    undefined,
    list,
    'models to serve, separated by commas: folders of MODELS_DIR, paths such as ./NAME, and owner/name or owner/name@revision of the Hub; unset: all of MODELS_DIR',
  ),
  modelsCache: setting('MODELS_CACHE', '.data/hub', text, 'directory of downloaded models of the Hub'),
  hfEndpoint: secret(
    'HF_ENDPOINT',
    'https://huggingface.co',
    url('http:', 'https:').refine((given) => !/\/[^/]*@/.test(given), 'must not contain a password; set HF_TOKEN'),
    'URL of the Hub or a mirror',
  ),
  hfToken: secret('HF_TOKEN', undefined, optional(text), 'access token for private and gated models of the Hub'),
  hubTimeout: setting(
    'HUB_TIMEOUT',
    '10m',
    timeout,
    'deadline of a download; then the model is served as downloaded before, or refused',
  ),
  predictJobs: setting(
    'PREDICT_JOBS',
    '512',
    integer(1, 10_000),
    'interactive jobs fetched at the same time, per inference process',
  ),
  bulkChunks: setting(
    'BULK_CHUNKS',
    '4',
    integer(1, 10_000),
    'chunks of batches fetched at the same time, per inference process',
  ),
  inferenceProcesses: setting(
    'INFERENCE_PROCESSES',
    undefined,
    optional(integer(1, 256)),
    'processes that run models; unset: one per CPU, but at most one per 300 MB of memory and at most 8',
  ),
  intraOpThreads: setting('INTRA_OP_THREADS', '1', integer(1, 256), 'threads of one model in an inference process'),
  maxRunTokens: setting(
    'MAX_RUN_TOKENS',
    undefined,
    optional(integer(1, 1_000_000)),
    'maximum of padded tokens per run; unset: what takes about 20 ms',
  ),
  runTimeout: setting(
    'RUN_TIMEOUT',
    undefined,
    optional(timeout),
    'timeout of a run, which kills its process; unset: 20 times the estimate, 2s to 10s',
  ),
  inferenceMemory: setting(
    'INFERENCE_MEMORY',
    undefined,
    optional(size),
    'memory of an inference process above which it is killed; unset: 80 % of the memory of the machine or container',
  ),
  loadTimeout: setting(
    'LOAD_TIMEOUT',
    '2m',
    timeout,
    'timeout of loading and warming one model, which kills its process; the second time, the model is refused',
  ),
  monitorPort: setting('MONITOR_PORT', '9100', port, 'port of health and metrics; 0: any free port'),
  monitorHost: setting(
    'MONITOR_HOST',
    undefined,
    optional(host),
    'address of health and metrics; unset: all addresses',
  ),
}

export type WorkerConfig = Omit<SettingsOf<typeof workerSettings>, 'inferenceProcesses' | 'inferenceMemory'> & {
  inferenceProcesses: number
  /** Bytes. */
  inferenceMemory: number
}

/** @throws SettingsError that lists every invalid variable. */
export function readWorkerConfig(env: NodeJS.ProcessEnv): WorkerConfig {
  const {
    inferenceProcesses = defaultProcesses(),
    inferenceMemory = defaultInferenceMemory(),
    ...settings
  } = readSettings(workerSettings, env)
  return { ...settings, inferenceProcesses, inferenceMemory }
}
