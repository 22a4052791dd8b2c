// The api's settings.
import * as env from '../env.ts'
import { logLevels } from '../logger.ts'
import { trustedProxies } from './http/trust-proxy.ts'
import { apiKeys } from './http/api-keys.ts'

export const apiSettings = {
  port: env.setting('PORT', '8000', env.port, 'where to listen; 0: any free port'),
  host: env.setting('HOST', '127.0.0.1', env.text, 'address to listen on; 0.0.0.0: all'),
  trustProxy: env.setting(
    'TRUST_PROXY',
    'off',
    trustedProxies,
    'reverse proxies that are believed: how many there are, or their addresses, such as loopback, 10.0.0.0/8',
  ),
  redisUrl: env.secret('REDIS_URL', undefined, env.url('redis:', 'rediss:'), 'the Redis that api and workers share'),
  defaultModel: env.setting('DEFAULT_MODEL', 'cola', env.text, 'the model of calls that name none'),
  waitTimeout: env.setting('WAIT_TIMEOUT', '30s', env.timeout, 'how long a call waits for its answer'),
  maxWait: env.setting('MAX_WAIT', '60s', env.timeout, 'the most that a caller may ask for with Prefer: wait=n'),
  resultTtl: env.setting('RESULT_TTL', '1h', env.duration, 'how long a finished prediction can be read'),
  maxQueueSeconds: env.setting(
    'MAX_QUEUE_SECONDS',
    '60s',
    env.duration,
    'predictions are refused when more work than this waits',
  ),
  maxInputs: env.setting('MAX_INPUTS', '1000', env.integer(1, 100_000), 'texts in one request'),
  maxTextChars: env.setting('MAX_TEXT_CHARS', '100000', env.integer(1, 10_000_000), 'characters (UTF-16) in one text'),
  maxBody: env.setting('MAX_BODY', '1mb', env.size, 'bytes in a JSON body, also after inflating'),
  maxWaiting: env.setting('MAX_WAITING', '512', env.integer(1, 100_000), 'calls that wait at the same time'),
  filesUrl: env.setting(
    'FILES_URL',
    undefined,
    env.optional(env.url('file:')),
    'the directory of files and batches, one for all apis, as file:///…; unset: .data/files here',
  ),
  maxFileBytes: env.setting('MAX_FILE_BYTES', '200mb', env.size, 'bytes in an uploaded file'),
  maxBatchLines: env.setting('MAX_BATCH_LINES', '50000', env.integer(1, 10_000_000), 'requests in one batch'),
  fileTtl: env.setting('FILE_TTL', '30d', env.duration, 'how long an uploaded file is kept'),
  batchTtl: env.setting('BATCH_TTL', '30d', env.duration, 'how long a batch and its output are kept after its end'),
  apiKeys: env.secret('API_KEYS', undefined, apiKeys, 'name:secret,...; unset: anybody may call'),
  adminUser: env.setting('ADMIN_USER', 'admin', env.text, 'login of the dashboard'),
  adminPassword: env.secret(
    'ADMIN_PASSWORD',
    undefined,
    env.optional(env.text),
    'unset: made once, printed once, kept hashed in Redis',
  ),
  adminWrite: env.setting('ADMIN_WRITE', 'off', env.flag, 'let the dashboard retry, promote and pause'),
  adminShowTexts: env.setting('ADMIN_SHOW_TEXTS', 'off', env.flag, 'let the dashboard show texts'),
  requireDurable: env.setting('REQUIRE_DURABLE', 'off', env.flag, 'refuse to start on a Redis that may lose jobs'),
  shutdownGrace: env.setting('SHUTDOWN_GRACE', '30s', env.timeout, 'how long a stop may take'),
  logLevel: env.setting('LOG_LEVEL', 'info', env.oneOf(logLevels), `one of ${logLevels.join(', ')}`),
}

export type ApiConfig = env.SettingsOf<typeof apiSettings>

/** @throws SettingsError with every problem. */
export function readApiConfig(variables: NodeJS.ProcessEnv): ApiConfig {
  return env.readSettings(apiSettings, variables)
}
