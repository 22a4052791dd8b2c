// Finds the Redis server's binary on PATH, or installs it with the system's package manager.
import { spawnSync } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

/** Redis is neither found nor installed; the message contains the remedy. */
export class RedisNotFoundError extends Error {
  override name = 'RedisNotFoundError'
}

/**
 * Returns the path of `redis-server` or `valkey-server`. Installs one when there is none, which is printed before.
 * @throws RedisNotFoundError
 */
export function redisBinary(print: (line: string) => void, env: NodeJS.ProcessEnv = process.env): string {
  const present = findOnPath(SERVERS, env)
  if (present) return present
  const installer = INSTALLERS.find(({ tool }) => findOnPath([tool], env))
  if (!installer) throw new RedisNotFoundError(`no redis-server or valkey-server found; ${REMEDY}`)
  print(`no Redis found; installing one with ${installer.tool} …`)
  for (const [command, ...args] of installer.commands) {
    const result = spawnSync(command, args, {
      env: { ...env, ...installer.env },
      stdio: ['ignore', 'ignore', 'pipe'],
      encoding: 'utf8',
    })
    if (result.status === 0) continue
    const reason = (result.error?.message ?? result.stderr).trim().split('\n').at(-1)
    throw new RedisNotFoundError(`"${[command, ...args].join(' ')}" failed${reason ? ` (${reason})` : ''}; ${REMEDY}`)
  }
  for (const [command, ...args] of installer.optionalCommands ?? []) spawnSync(command, args, { env, stdio: 'ignore' })
  const installed = findOnPath(SERVERS, env)
  if (!installed)
    throw new RedisNotFoundError(`${installer.tool} installed Redis, but no redis-server is on PATH; ${REMEDY}`)
  return installed
}

const REMEDY = 'install Redis 6.2 or newer and try again, or set REDIS_URL to a running Redis'

const SERVERS = ['redis-server', 'valkey-server']

interface Installer {
  tool: string
  commands: [string, ...string[]][]
  env?: NodeJS.ProcessEnv
  /** Run after the commands; their failure is ignored. */
  optionalCommands?: [string, ...string[]][]
}

const INSTALLERS: Installer[] = [
  {
    tool: 'apt-get',
    commands: [
      ['apt-get', 'update', '-qq'],
      ['apt-get', 'install', '-y', '-qq', '--no-install-recommends', 'redis-server'],
    ],
    // Debian's package includes a service on port 6379, which inferq does not use. RUNLEVEL=1 prevents its start; where
    // systemd has started it, it is stopped and disabled.
    env: { DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' },
    optionalCommands: [['systemctl', 'disable', '--now', 'redis-server']],
  },
  { tool: 'apk', commands: [['apk', 'add', '--no-cache', 'redis']] },
  { tool: 'dnf', commands: [['dnf', 'install', '-y', '-q', 'valkey']] },
  { tool: 'brew', commands: [['brew', 'install', '--quiet', 'redis']] },
]

/** The path of the first of these programs that is on PATH. */
function findOnPath(programs: string[], env: NodeJS.ProcessEnv): string | undefined {
  const folders = (env['PATH'] ?? '').split(delimiter).filter(Boolean)
  return programs.flatMap((program) => folders.map((folder) => join(folder, program))).find(isExecutable)
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
