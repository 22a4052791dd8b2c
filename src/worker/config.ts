// The worker's settings.
import {
  flag,
  integer,
  list,
  oneOf,
  optional,
  port,
  readSettings,
  secret,
  type SettingsOf,
  setting,
  text,
  timeout,
  url,
} from '../env.ts'
import { logLevels } from '../logger.ts'
import { defaultProcesses } from './resources.ts'

export const workerSettings = {
  redisUrl: secret('REDIS_URL', undefined, url('redis:', 'rediss:'), 'the Redis that all processes share'),
  modelsDir: setting('MODELS_DIR', 'models', text, 'where the models are, one folder each'),
  models: setting(
    'MODELS',
    undefined,
    list,
    'which of them to serve, separated by commas, also owner/name or owner/name@revision of the Hub; unset: every one',
  ),
  modelsCache: setting('MODELS_CACHE', '.data/hub', text, 'where models of the Hub are kept'),
  hfEndpoint: secret(
    'HF_ENDPOINT',
    'https://huggingface.co',
    url('http:', 'https:').refine((given) => !/\/[^/]*@/.test(given), 'must hold no password: that is HF_TOKEN'),
    'the Hub, or a mirror of it',
  ),
  hfToken: secret('HF_TOKEN', undefined, optional(text), 'for models of the Hub that not everybody may read'),
  hubTimeout: setting(
    'HUB_TIMEOUT',
    '10m',
    timeout,
    'a model that is not fetched by then is refused, or served as it was fetched before',
  ),
  predictJobs: setting(
    'PREDICT_JOBS',
    '64',
    integer(1, 10_000),
    'interactive jobs fetched at once, an inference process',
  ),
  bulkChunks: setting(
    'BULK_CHUNKS',
    '4',
    integer(1, 10_000),
    'chunks of batches fetched at once, an inference process',
  ),
  inferenceProcesses: setting(
    'INFERENCE_PROCESSES',
    undefined,
    optional(integer(1, 256)),
    'processes in which models run; unset: one a CPU, one a 300 MB of memory, at most 8',
  ),
  intraOpThreads: setting('INTRA_OP_THREADS', '1', integer(1, 256), 'threads of a model in one process'),
  maxRunTokens: setting(
    'MAX_RUN_TOKENS',
    undefined,
    optional(integer(1, 1_000_000)),
    'padded tokens in one run; unset: what takes some 20 ms',
  ),
  runTimeout: setting(
    'RUN_TIMEOUT',
    undefined,
    optional(timeout),
    'a run that takes longer is killed; unset: 20 times what it should take, 2s to 10s',
  ),
  monitorPort: setting('MONITOR_PORT', '9100', port, 'health and metrics; 0: any free port'),
  monitorHost: setting('MONITOR_HOST', undefined, optional(text), 'the address for them; unset: all of this machine'),
  requireDurable: setting('REQUIRE_DURABLE', 'off', flag, 'take no jobs from a Redis that may lose them'),
  shutdownGrace: setting('SHUTDOWN_GRACE', '30s', timeout, 'how long the worker may take to stop'),
  logLevel: setting('LOG_LEVEL', 'info', oneOf(logLevels), 'what is logged'),
}

export type WorkerConfig = Omit<SettingsOf<typeof workerSettings>, 'inferenceProcesses'> & {
  inferenceProcesses: number
}

/** @throws SettingsError that lists every variable that cannot be used. */
export function readWorkerConfig(env: NodeJS.ProcessEnv): WorkerConfig {
  const { inferenceProcesses = defaultProcesses(), ...settings } = readSettings(workerSettings, env)
  return { ...settings, inferenceProcesses }
}
