// The api's settings.
import { filesUrl } from '../batches/storage/files-url.ts'
import * as env from '../env.ts'
import { serviceSettings } from '../lifecycle.ts'
import { redisSettings } from '../redis/settings.ts'
import { tracingSettings } from '../telemetry/settings.ts'
import { networks } from '../validation/addresses.ts'
import { allowedHosts } from './http/guards/hosts.ts'
import { corsOrigins } from './http/guards/origins.ts'
import { publicUrl } from './http/guards/public-url.ts'
import { adminPassword } from './http/guards/secrets.ts'
import { apiKeys } from './http/keys/api-key.ts'
import { apiKeysFile } from './http/keys/keys-file.ts'
import { trustedProxies } from './http/trust-proxy.ts'

export const apiSettings = {
  ...redisSettings,
  ...serviceSettings,
  ...tracingSettings,
  port: env.setting('PORT', '8000', env.port, 'port to listen on; 0: any free port'),
  host: env.setting('HOST', '127.0.0.1', env.host, 'address to listen on; 0.0.0.0: all'),
  trustProxy: env.setting(
    'TRUST_PROXY',
    'off',
    trustedProxies,
    'trusted reverse proxies: their number, or their addresses, such as loopback, 10.0.0.0/8',
  ),
  publicUrl: env.setting(
    'PUBLIC_URL',
    undefined,
    publicUrl,
    'URL under which clients reach the api, also with a path; unset: as in each request',
  ),
  allowedHosts: env.setting(
    'ALLOWED_HOSTS',
    undefined,
    allowedHosts,
    'further host names of the api, used without API_KEYS, such as api.example.com, .example.com; *: any',
  ),
  corsOrigins: env.setting(
    'CORS_ORIGINS',
    undefined,
    corsOrigins,
    'origins whose web pages may use the api, such as https://app.example; *: any',
  ),
  announceUrl: env.setting(
    'ANNOUNCE_URL',
    undefined,
    env.optional(env.url('http:', 'https:')),
    'URL in the line that is printed when a model is served, unless PUBLIC_URL is set; unset: no line',
  ),
  defaultModel: env.setting('DEFAULT_MODEL', 'cola', env.text, 'model of requests that name none'),
  waitTimeout: env.setting('WAIT_TIMEOUT', '30s', env.timeout, 'timeout of a synchronous request'),
  maxWait: env.setting('MAX_WAIT', '60s', env.timeout, 'upper limit of Prefer: wait=n'),
  resultTtl: env.setting('RESULT_TTL', '1h', env.duration, 'retention of a finished prediction'),
  cacheTtl: env.setting(
    'CACHE_TTL',
    undefined,
    env.optional(env.duration),
    'time that results of plain calls are kept for the same text; unset: no cache',
  ),
  cacheEntries: env.setting(
    'CACHE_ENTRIES',
    '50000',
    env.integer(1, 100_000_000),
    'texts in the cache of each API key; a later text replaces an earlier one',
  ),
  cacheShared: env.setting(
    'CACHE_SHARED',
    'off',
    env.flag,
    'one cache for all API keys: the time of an answer shows a caller whether another one has sent the text',
  ),
  maxQueueSeconds: env.setting(
    'MAX_QUEUE_SECONDS',
    '60s',
    env.duration,
    'estimated time in the queue above which predictions get 429',
  ),
  maxInputs: env.setting('MAX_INPUTS', '1000', env.integer(1, 100_000), 'maximum number of texts in a request'),
  maxTextChars: env.setting(
    'MAX_TEXT_CHARS',
    '100000',
    env.integer(1, 10_000_000),
    'maximum length of a text, UTF-16 characters',
  ),
  maxBody: env.setting('MAX_BODY', '1mb', env.size, 'maximum size of a JSON body, also after decompression'),
  maxWaiting: env.setting('MAX_WAITING', '512', env.integer(1, 100_000), 'maximum number of waiting requests per api'),
  maxPolls: env.setting('MAX_POLLS', '512', env.integer(1, 100_000), 'maximum number of long polls per api'),
  maxStreams: env.setting(
    'MAX_STREAMS',
    '256',
    env.integer(1, 100_000),
    'maximum number of event streams, followed rows, downloads and uploads per api',
  ),
  maxConnections: env.setting(
    'MAX_CONNECTIONS',
    '4096',
    env.integer(1, 1_000_000),
    'maximum number of open connections per api',
  ),
  stopDelay: env.setting(
    'STOP_DELAY',
    '2s',
    env.delay,
    'time from SIGTERM to the end of listening, while /readyz is 503; part of SHUTDOWN_GRACE',
  ),
  filesUrl: env.setting(
    'FILES_URL',
    undefined,
    filesUrl,
    'files and batches, shared by all apis: a directory, file:///…, or a bucket, s3://…; unset: .data/files in the working directory',
  ),
  maxFileBytes: env.setting(
    'MAX_FILE_BYTES',
    '200mb',
    env.size,
    'maximum size of a file that is uploaded in one request',
  ),
  maxUploadBytes: env.setting(
    'MAX_UPLOAD_BYTES',
    '1gb',
    env.size,
    'maximum size of a file that is uploaded in parts, or fetched from a URL',
  ),
  maxStoredBytes: env.setting(
    'MAX_STORED_BYTES',
    '100gb',
    env.size,
    'maximum size of all files and outputs of batches together',
  ),
  maxStoredBytesPerKey: env.setting(
    'MAX_STORED_BYTES_PER_KEY',
    '20gb',
    env.size,
    'maximum size of the files and outputs of batches of one API key, or of all callers without keys',
  ),
  diskReserve: env.setting(
    'DISK_RESERVE',
    '1gb',
    env.size,
    'space of the disk of files that stays free, but at most a tenth of the disk',
  ),
  maxBatchLines: env.setting(
    'MAX_BATCH_LINES',
    '50000',
    env.integer(1, 10_000_000),
    'maximum number of requests in a batch',
  ),
  maxOpenBatches: env.setting(
    'MAX_OPEN_BATCHES',
    '1000',
    env.integer(1, 5_000),
    'maximum number of batches that have not ended, shared between API keys',
  ),
  fileTtl: env.setting('FILE_TTL', '30d', env.duration, 'retention of an uploaded file'),
  batchTtl: env.setting('BATCH_TTL', '30d', env.duration, 'retention of a batch and its output after its end'),
  apiKeys: env.secret(
    'API_KEYS',
    undefined,
    apiKeys,
    'name:secret, and after it any of :WEIGHT, :ROLE and :until=DATE, separated by commas; unset: no key is needed',
  ),
  apiKeysFile: env.setting(
    'API_KEYS_FILE',
    undefined,
    apiKeysFile,
    'file with a key in each line, instead of API_KEYS; read again when it changes, and on SIGHUP',
  ),
  inputUrlAllow: env.setting(
    'INPUT_URL_ALLOW',
    undefined,
    networks,
    'private addresses and networks from which input files of batches may be fetched, such as 10.0.0.0/8; unset: none',
  ),
  webhookAllow: env.setting(
    'WEBHOOK_ALLOW',
    undefined,
    networks,
    'private addresses and networks to which webhooks may be sent, separated by commas, such as 10.0.0.0/8; unset: none',
  ),
  adminUser: env.setting('ADMIN_USER', 'admin', env.text, 'user name for the dashboard'),
  adminPassword: env.secret(
    'ADMIN_PASSWORD',
    undefined,
    adminPassword,
    'password for the dashboard; unset: generated once, logged once, and stored as a hash in Redis; new: generated again',
  ),
  adminWrite: env.setting('ADMIN_WRITE', 'off', env.flag, 'allow the dashboard to retry, promote and pause'),
  adminShowTexts: env.setting('ADMIN_SHOW_TEXTS', 'off', env.flag, 'allow the dashboard to show texts'),
}

export type ApiConfig = env.SettingsOf<typeof apiSettings>

/** @throws SettingsError that lists every problem. */
export function readApiConfig(variables: NodeJS.ProcessEnv): ApiConfig {
  const config = env.readSettings(apiSettings, variables)
  if (config.apiKeys.length > 0 && config.apiKeysFile !== undefined) {
    throw new env.SettingsError(['API_KEYS and API_KEYS_FILE: set one of them'])
  }
  return config
}
