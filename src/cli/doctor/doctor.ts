// `inferq doctor`: checks this machine, Redis, the models and the server, and states the remedy of each finding.
import { resolve } from 'node:path'
import { apiSettings } from '../../api/config.ts'
import type { FilesLocation } from '../../batches/storage/files-url.ts'
import type { Inferq } from '../../client/client.ts'
import { withoutCredentials } from '../../client/http/base-url.ts'
import {
  readSettings,
  SettingsError,
  type SettingsOf,
  type SettingsTable,
  settingsProblems,
  withoutDefault,
} from '../../env.ts'
import { defaultModelsDirs } from '../../package.ts'
import { redisSettings } from '../../redis/settings.ts'
import { workerSettings } from '../../worker/config.ts'
import { EXIT } from '../failure.ts'
import { countOf } from '../format.ts'
import { colored, oneLine, print, type Terminal } from '../terminal.ts'
import { type Finding, findingsOf, type Level } from './finding.ts'
import { checkModels, checkPort, checkSettings } from './local.ts'
import { checkDisk, checkMemory, checkNode, checkPackages } from './machine.ts'
import { checkRedis } from './redis.ts'
import { checkServer } from './server.ts'

export interface DoctorOptions {
  url: string
  /** Whether --url or INFERQ_URL names the server. */
  isUrlGiven: boolean
  json: boolean
}

/** The settings that the checks need. */
const settings = {
  redisUrl: withoutDefault(redisSettings.redisUrl),
  redisTlsCa: redisSettings.redisTlsCa,
  redisTlsCert: redisSettings.redisTlsCert,
  redisTlsKey: redisSettings.redisTlsKey,
  requireDurable: redisSettings.requireDurable,
  port: apiSettings.port,
  host: apiSettings.host,
  filesUrl: apiSettings.filesUrl,
  diskReserve: apiSettings.diskReserve,
  models: workerSettings.models,
}
const COLORS = { ok: 'green', warning: 'yellow', problem: 'red' } as const

/** @returns the exit code: `failed` with a problem; warnings alone are no failure. */
export async function examine(inferq: Inferq, options: DoctorOptions, terminal: Terminal): Promise<number> {
  const findings = await allFindings(inferq, options, terminal)
  const count = (level: Level) => findings.filter((finding) => finding.level === level).length
  const [problems, warnings] = [count('problem'), count('warning')]
  const { stdout } = terminal
  if (options.json) await print(stdout, `${JSON.stringify({ problems, warnings, findings })}\n`)
  else {
    for (const finding of findings) await print(stdout, lineOf(finding, terminal))
    await print(stdout, `\n${countOf(problems, 'problem')}, ${countOf(warnings, 'warning')}\n`)
  }
  return problems > 0 ? EXIT.failed : EXIT.ok
}

async function allFindings(
  inferq: Inferq,
  { url, isUrlGiven }: DoctorOptions,
  { signal }: Terminal,
): Promise<Finding[]> {
  const { env } = process
  const complete = { ...env, REDIS_URL: env['REDIS_URL']?.trim() || 'redis://127.0.0.1' }
  const problems = settingsProblems([apiSettings, workerSettings], complete)
  const { redisUrl, ...config } = validSettings(settings, env)
  const dirs = env['MODELS_DIR'] ? readSettings({ dirs: workerSettings.modelsDirs }, env).dirs : defaultModelsDirs()
  const address = redisUrl === undefined ? undefined : { ...config, redisUrl }
  const server = await findingsOf('server', () => checkServer(inferq, withoutCredentials(url), isUrlGiven, signal))
  const { hostname, port } = new URL(url)
  const isHere = ['localhost', '127.0.0.1', '[::1]'].includes(hostname) && Number(port || 80) === config.port
  // Only a server that answered has the version in its first finding.
  const isServer = isHere && server[0]?.message.startsWith('inferq ') === true
  const groups = [
    await findingsOf('node', checkNode),
    await findingsOf('packages', checkPackages),
    await findingsOf('settings', () => checkSettings(problems)),
    await findingsOf('memory', checkMemory),
    await findingsOf('disk', () => checkDisk(filesDirectory(config.filesUrl, env), config.diskReserve)),
    await findingsOf('redis', () => checkRedis(address, config.requireDurable, env)),
    await findingsOf('models', () => checkModels(dirs, config.models)),
    await findingsOf('port', () => checkPort({ port: config.port, host: config.host, isServer })),
    server,
  ]
  return groups.flat()
}

/** Of `inferq serve` and of the api; undefined for a bucket. */
function filesDirectory(location: FilesLocation | undefined, env: NodeJS.ProcessEnv): string | undefined {
  if (location === undefined) return resolve(env['DATA_DIR'] ?? '.data', 'files')
  return 'directory' in location ? location.directory : undefined
}

/** The settings of a table; an invalid one, which is a separate finding, has its default. */
function validSettings<Table extends SettingsTable>(table: Table, env: NodeJS.ProcessEnv): SettingsOf<Table> {
  const values = Object.entries(table).map(([key, declared]) => {
    try {
      return readSettings({ [key]: declared }, env)
    } catch (error) {
      if (error instanceof SettingsError) return readSettings({ [key]: declared }, {})
      throw error
    }
  })
  return Object.assign({}, ...values) as SettingsOf<Table>
}

function lineOf({ check, level, message, remedy }: Finding, { stdout }: Terminal): string {
  const start = `${colored(stdout, COLORS[level], level.padEnd(7))}  ${check.padEnd(8)}  `
  const second = remedy === undefined ? '' : `${' '.repeat(19)}${oneLine(remedy)}\n`
  return `${start}${oneLine(message)}\n${second}`
}
