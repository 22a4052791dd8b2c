// Where the Redis server's program comes from: PATH, or else this machine's own package manager.
import { spawnSync } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

/** Thrown when no Redis can be had; the message says what a person can do. */
export class RedisNotFoundError extends Error {
  override name = 'RedisMissing'
}

/**
 * The path of `redis-server` or `valkey-server`; installs one, after saying so, when there is none.
 * @throws RedisMissing
 */
export function redisBinary(say: (line: string) => void, env: NodeJS.ProcessEnv = process.env): string {
  const present = onPath(servers, env)
  if (present) return present
  const installer = installers.find(({ tool }) => onPath([tool], env))
  if (!installer) throw new RedisNotFoundError(`No redis-server or valkey-server was found. ${advice}`)
  say(`no Redis found; installing one with ${installer.tool} …`)
  for (const [command, ...args] of installer.commands) {
    const done = spawnSync(command, args, {
      env: { ...env, ...installer.env },
      stdio: ['ignore', 'ignore', 'pipe'],
      encoding: 'utf8',
    })
    if (done.status === 0) continue
    const why = (done.error?.message ?? done.stderr).trim().split('\n').at(-1)
    throw new RedisNotFoundError(`"${[command, ...args].join(' ')}" failed${why ? ` (${why})` : ''}. ${advice}`)
  }
  for (const [command, ...args] of installer.afterwards ?? []) spawnSync(command, args, { env, stdio: 'ignore' })
  const installed = onPath(servers, env)
  if (!installed)
    throw new RedisNotFoundError(`${installer.tool} installed Redis, but no redis-server is on PATH. ${advice}`)
  return installed
}

const advice = 'Install Redis 6.2 or newer and run this again, or set REDIS_URL to a Redis that runs already.'

const servers = ['redis-server', 'valkey-server']

interface Installer {
  tool: string
  commands: [string, ...string[]][]
  env?: NodeJS.ProcessEnv
  /** What may fail. */
  afterwards?: [string, ...string[]][]
}

const installers: Installer[] = [
  {
    tool: 'apt-get',
    commands: [
      ['apt-get', 'update', '-qq'],
      ['apt-get', 'install', '-y', '-qq', '--no-install-recommends', 'redis-server'],
    ],
    // Debian's package brings a service on port 6379, which nobody asked for: RUNLEVEL=1 lets it not start, and where
    // systemd started it all the same, now and at every boot, it is told not to.
    env: { DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' },
    afterwards: [['systemctl', 'disable', '--now', 'redis-server']],
  },
  { tool: 'apk', commands: [['apk', 'add', '--no-cache', 'redis']] },
  { tool: 'dnf', commands: [['dnf', 'install', '-y', '-q', 'valkey']] },
  { tool: 'brew', commands: [['brew', 'install', '--quiet', 'redis']] },
]

/** The first of these programs that PATH has. */
function onPath(programs: string[], env: NodeJS.ProcessEnv): string | undefined {
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
