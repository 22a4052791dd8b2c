// Redis servers of one test without a supervisor: one that is killed stays dead. Alone, or as a master with a replica and
// sentinels.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { freePort } from '../../src/launcher/ports.ts'
import { redisBinary } from '../../src/launcher/redis-binary.ts'
import { waitFor } from './wait-for.ts'

interface StartedRedis {
  port: number
  url: string
  child: ChildProcess
  /** Runs commands on this server with a connection of their own. */
  ask: <T>(commands: (redis: Redis) => Promise<T>) => Promise<T>
  stop: () => Promise<void>
}

const DURABLE = { appendonly: 'yes', appendfsync: 'everysec', save: '', 'maxmemory-policy': 'noeviction' }

/** @param settings of redis.conf. @param mode as the last argument, such as `--sentinel`. */
async function startRedis(
  settings: Record<string, string | number> = {},
  { mode = [] as string[], lines = [] as string[], login = '' } = {},
): Promise<StartedRedis> {
  const dir = mkdtempSync(join(tmpdir(), 'inferq-redis-'))
  const port = await freePort()
  const all = { port, bind: '127.0.0.1', dir, logfile: join(dir, 'redis.log'), ...settings }
  const file = join(dir, 'redis.conf')
  writeFileSync(
    file,
    [...Object.entries(all).map(([name, value]) => `${name} ${value || '""'}`), ...lines, ''].join('\n'),
  )
  const child = spawn(
    redisBinary(() => undefined),
    [file, ...mode],
    { stdio: 'ignore' },
  )
  const ended = once(child, 'exit')
  const url = `redis://${login}127.0.0.1:${port}`
  const ask = async <T>(commands: (redis: Redis) => Promise<T>) => {
    const redis = new Redis(url, { maxRetriesPerRequest: 1, lazyConnect: true, enableReadyCheck: mode.length === 0 })
    redis.on('error', () => undefined)
    try {
      await redis.connect()
      return await commands(redis)
    } finally {
      redis.disconnect()
    }
  }
  await waitFor(`Redis at ${port}`, () => ask((redis) => redis.ping()))
  const stop = async () => {
    child.kill('SIGKILL')
    await ended
    rmSync(dir, { recursive: true, force: true })
  }
  return { port, url, child, ask, stop }
}

export interface SentinelSetup {
  /** REDIS_URL of the sentinels. */
  url: string
  master: StartedRedis
  replica: StartedRedis
  sentinels: StartedRedis[]
  stop: () => Promise<void>
}

/** The name of the master. */
const MASTER = 'mymaster'
const PASSWORD = 'redis-password'
const SENTINEL_PASSWORD = 'sentinel-password'
const SENTINELS = 3

/** A master with a replica and three sentinels that fail over after a second, all with passwords. */
export async function startSentinels(settings: Record<string, string | number> = {}): Promise<SentinelSetup> {
  const login = `:${PASSWORD}@`
  const own = { ...DURABLE, requirepass: PASSWORD, masterauth: PASSWORD, ...settings }
  const master = await startRedis(own, { login })
  const replica = await startRedis({ ...own, replicaof: `127.0.0.1 ${master.port}` }, { login })
  await waitFor('the replica', async () =>
    (await replica.ask((redis) => redis.info())).includes('master_link_status:up'),
  )
  const lines = [
    `sentinel monitor ${MASTER} 127.0.0.1 ${master.port} 2`,
    `sentinel auth-pass ${MASTER} ${PASSWORD}`,
    `sentinel down-after-milliseconds ${MASTER} 1000`,
    `sentinel failover-timeout ${MASTER} 5000`,
  ]
  const sentinelLogin = `:${SENTINEL_PASSWORD}@`
  const start = () =>
    startRedis({ requirepass: SENTINEL_PASSWORD }, { mode: ['--sentinel'], lines, login: sentinelLogin })
  const sentinels = await Promise.all(Array.from({ length: SENTINELS }, start))
  for (const sentinel of sentinels) {
    const isComplete = async () => {
      const known = await sentinel.ask((redis) => redis.call('SENTINEL', 'masters'))
      const [fields = []] = known as string[][]
      const valueOf = (name: string) => Number(fields[fields.indexOf(name) + 1])
      return valueOf('num-slaves') === 1 && valueOf('num-other-sentinels') === SENTINELS - 1
    }
    await waitFor('the sentinels to know each other', isComplete)
  }
  const places = sentinels.map(({ port }) => `127.0.0.1:${port}`).join(',')
  return {
    url: `redis+sentinel://${login}${places}/${MASTER}?sentinel_password=${SENTINEL_PASSWORD}`,
    master,
    replica,
    sentinels,
    stop: async () => {
      await Promise.all([...sentinels, replica, master].map((each) => each.stop()))
    },
  }
}
