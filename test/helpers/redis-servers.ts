// Redis servers of one test without a supervisor: one that is killed stays dead. Alone, or as a master with a replica and
// sentinels.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { freePort } from '../../src/launcher/ports.ts'
import { redisBinary } from '../../src/launcher/redis-binary.ts'
import type { CertificateFiles } from './tls/authority.ts'
import { waitFor } from './wait-for.ts'

export interface StartedRedis {
  port: number
  url: string
  child: ChildProcess
  /** Runs commands on this server with a connection of their own. */
  ask: <T>(commands: (redis: Redis) => Promise<T>) => Promise<T>
  stop: () => Promise<void>
}

const DURABLE = { appendonly: 'yes', appendfsync: 'everysec', save: '', 'maxmemory-policy': 'noeviction' }

/** A certificate for 127.0.0.1, of servers and clients, and the file of its authority. */
export interface ServerTls extends CertificateFiles {
  ca: string
}

/** Connections of clients, replicas, sentinels and the bus of a cluster use TLS. */
function tlsSettings(port: number, { ca, cert, key }: ServerTls): Record<string, string | number> {
  return {
    port: 0,
    'tls-port': port,
    'tls-cert-file': cert,
    'tls-key-file': key,
    'tls-ca-cert-file': ca,
    'tls-replication': 'yes',
    'tls-cluster': 'yes',
  }
}

const scheme = (tls: ServerTls | undefined) => (tls === undefined ? 'redis' : 'rediss')

interface StartOptions {
  /** The last argument, such as `--sentinel`. */
  mode?: string[]
  lines?: string[]
  /** `USER:PASSWORD@` of `ask`. */
  login?: string
  tls?: ServerTls | undefined
}

/** @param settings of redis.conf. */
async function startRedis(
  settings: Record<string, string | number> = {},
  { mode = [], lines = [], login = '', tls }: StartOptions = {},
): Promise<StartedRedis> {
  const dir = mkdtempSync(join(tmpdir(), 'inferq-redis-'))
  const port = await freePort()
  const own = tls === undefined ? { port } : tlsSettings(port, tls)
  const all = { ...own, bind: '127.0.0.1', dir, logfile: join(dir, 'redis.log'), ...settings }
  const file = join(dir, 'redis.conf')
  writeFileSync(
    file,
    [...Object.entries(all).map(([name, value]) => `${name} ${value === '' ? '""' : value}`), ...lines, ''].join('\n'),
  )
  const child = spawn(
    redisBinary(() => undefined),
    [file, ...mode],
    { stdio: 'ignore' },
  )
  const ended = once(child, 'exit')
  const url = `redis${tls === undefined ? '' : 's'}://${login}127.0.0.1:${port}`
  const files = tls && { ca: readFileSync(tls.ca), cert: readFileSync(tls.cert), key: readFileSync(tls.key) }
  const options = { maxRetriesPerRequest: 1, lazyConnect: true, enableReadyCheck: mode.length === 0 }
  const ask = async <T>(commands: (redis: Redis) => Promise<T>) => {
    const redis = new Redis(url, { ...options, ...(files === undefined ? {} : { tls: files }) })
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
export async function startSentinels(
  settings: Record<string, string | number> = {},
  tls?: ServerTls,
): Promise<SentinelSetup> {
  const login = `:${PASSWORD}@`
  const own = { ...DURABLE, requirepass: PASSWORD, masterauth: PASSWORD, ...settings }
  const master = await startRedis(own, { login, tls })
  const replica = await startRedis({ ...own, replicaof: `127.0.0.1 ${master.port}` }, { login, tls })
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
    startRedis({ requirepass: SENTINEL_PASSWORD }, { mode: ['--sentinel'], lines, login: sentinelLogin, tls })
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
    url: `${scheme(tls)}+sentinel://${login}${places}/${MASTER}?sentinel_password=${SENTINEL_PASSWORD}`,
    master,
    replica,
    sentinels,
    stop: async () => {
      await Promise.all([...sentinels, replica, master].map((each) => each.stop()))
    },
  }
}

export interface ClusterSetup {
  /** REDIS_URL of the cluster. */
  url: string
  masters: StartedRedis[]
  /** Of each master one, in the same order; none without replicas. */
  replicas: StartedRedis[]
  stop: () => Promise<void>
}

const SLOTS = 16_384
const MASTERS = 3

/** A cluster of three masters, and as many replicas if wanted, that fails over after a few seconds. */
export async function startCluster({
  replicas: hasReplicas = false,
  tls,
}: {
  replicas?: boolean
  tls?: ServerTls
} = {}): Promise<ClusterSetup> {
  const own = { ...DURABLE, 'cluster-enabled': 'yes', 'cluster-node-timeout': 3_000 }
  const nodes = await Promise.all(
    Array.from({ length: hasReplicas ? 2 * MASTERS : MASTERS }, async () => {
      // Port 0: the bus gets a free port too.
      return startRedis({ ...own, 'cluster-port': await freePort() }, { tls })
    }),
  )
  const [masters, replicas] = [nodes.slice(0, MASTERS), nodes.slice(MASTERS)]
  const cluster = (node: StartedRedis, ...args: (string | number)[]) =>
    node.ask((redis) => redis.call('CLUSTER', ...args))
  const busPorts = await Promise.all(
    nodes.map((node) => node.ask(async (redis) => Number((await redis.config('GET', 'cluster-port'))[1]))),
  )
  const ids = await Promise.all(nodes.map((node) => cluster(node, 'MYID')))
  for (const [index, node] of nodes.entries()) {
    await cluster(node, 'SET-CONFIG-EPOCH', index + 1)
    if (index > 0) await cluster(nodes[0] as StartedRedis, 'MEET', '127.0.0.1', node.port, busPorts[index] ?? 0)
    if (index >= MASTERS) continue
    const first = Math.floor((SLOTS * index) / MASTERS)
    const slots = Array.from({ length: Math.floor((SLOTS * (index + 1)) / MASTERS) - first }, (_slot, at) => first + at)
    await cluster(node, 'ADDSLOTS', ...slots)
  }
  const allKnow = async (what: string) => {
    const infos = await Promise.all(nodes.map((node) => cluster(node, 'INFO')))
    return infos.every((info) => String(info).includes(what))
  }
  await waitFor('the nodes to know each other', () => allKnow(`cluster_known_nodes:${nodes.length}`))
  for (const [index, replica] of replicas.entries()) {
    await waitFor('a replica', () => cluster(replica, 'REPLICATE', String(ids[index])))
  }
  await waitFor('the cluster', () => allKnow('cluster_state:ok'))
  for (const replica of replicas) {
    const isUp = () => replica.ask(async (redis) => (await redis.info()).includes('master_link_status:up'))
    await waitFor('a replica to be filled', isUp)
  }
  return {
    url: `${scheme(tls)}+cluster://${masters.map(({ port }) => `127.0.0.1:${port}`).join(',')}`,
    masters,
    replicas,
    stop: async () => {
      await Promise.all(nodes.map((node) => node.stop()))
    },
  }
}
