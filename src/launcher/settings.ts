// The settings of `npm start` and `inferq serve`, and the one table of the settings of all programs.
import { apiSettings } from '../api/config.ts'
import {
  describeTable,
  integer,
  readSettings,
  SettingsError,
  type SettingsOf,
  type SettingsTable,
  setting,
  settingsProblems,
  size,
  text,
  withDefault,
  withoutDefault,
} from '../env.ts'
import { serviceSettings } from '../lifecycle.ts'
import { redisSettings } from '../redis/settings.ts'
import { tracingSettings } from '../telemetry/settings.ts'
import { workerSettings } from '../worker/config.ts'

export const MAX_WORKERS = 64

const ownSettings = {
  workers: setting('WORKERS', '1', integer(0, MAX_WORKERS), 'number of workers to start; 0: they run elsewhere'),
  dataDir: setting('DATA_DIR', '.data', text, 'directory of the private Redis, of files and of downloaded models'),
  redisMaxMemory: setting('REDIS_MAXMEMORY', '512mb', size, 'memory limit of the private Redis'),
  logLevel: withDefault(serviceSettings.logLevel, 'warn'),
}

const launcherSettings = {
  ...ownSettings,
  ...redisSettings,
  redisUrl: withoutDefault(redisSettings.redisUrl),
  shutdownGrace: serviceSettings.shutdownGrace,
  host: apiSettings.host,
  port: apiSettings.port,
  monitorPort: withoutDefault(workerSettings.monitorPort),
  adminUser: apiSettings.adminUser,
  apiKeys: apiSettings.apiKeys,
  apiKeysFile: apiSettings.apiKeysFile,
  defaultModel: apiSettings.defaultModel,
  models: workerSettings.models,
  modelsDirs: workerSettings.modelsDirs,
  hfEndpoint: workerSettings.hfEndpoint,
  hfToken: workerSettings.hfToken,
  hubTimeout: workerSettings.hubTimeout,
  adminPassword: apiSettings.adminPassword,
}

export type LauncherConfig = SettingsOf<typeof launcherSettings>

const shared = { ...redisSettings, ...serviceSettings, ...tracingSettings }

/** Every setting once, by the programs that take it. */
export const settingsTable: { title: string; settings: SettingsTable }[] = [
  { title: 'Under npm start and inferq serve', settings: ownSettings },
  { title: 'Every process', settings: shared },
  { title: 'The api', settings: omit(apiSettings, shared) },
  { title: 'A worker', settings: omit(workerSettings, shared) },
]

/** @throws SettingsError that lists the problems of every program's settings, before one is started. */
export function readLauncherConfig(env: NodeJS.ProcessEnv): LauncherConfig {
  // The private Redis is not started yet.
  const complete = { ...env, REDIS_URL: env['REDIS_URL']?.trim() || 'redis://127.0.0.1' }
  const problems = settingsProblems([launcherSettings, apiSettings, workerSettings], complete)
  if (problems.length > 0) throw new SettingsError(problems)
  return readSettings(launcherSettings, env)
}

/** Lists every setting with default and description, one per line. */
export function describeSettings(): string {
  return settingsTable.map(({ title, settings }) => describeTable(title, settings)).join('\n\n')
}

function omit(table: SettingsTable, left: SettingsTable): SettingsTable {
  return Object.fromEntries(Object.entries(table).filter(([key]) => !(key in left)))
}
