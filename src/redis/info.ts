// Reads Redis' INFO, in a cluster of every master: durability and memory.
import type { Redis } from 'ioredis'
import { messageOf } from '../errors.ts'
import { mastersOf } from './commands.ts'
import { describePlaces } from './url.ts'

/**
 * Checks that Redis keeps what it acknowledges: a master with an append-only file that is flushed, no eviction, version 6.2
 * or later. How often the file is flushed is unknown where CONFIG GET is not permitted, as in managed Redis.
 * @returns one line for each problem; empty when there is none.
 */
export async function durabilityProblems(redis: Redis): Promise<string[]> {
  const masters = mastersOf(redis)
  if (masters.length === 0) throw new Error('no master of the cluster is known yet')
  const problems = await Promise.all(masters.map(problemsOf))
  if (masters.length === 1) return problems.flat()
  return masters.flatMap(({ options: { host = '', port = 0 } }, index) =>
    (problems[index] ?? []).map((problem) => `${describePlaces({ nodes: [{ host, port }] })}: ${problem}`),
  )
}

async function problemsOf(redis: Redis): Promise<string[]> {
  const info = parseInfo(await redis.info())
  const problems: string[] = []
  const [major = 0, minor = 0] = (info.get('redis_version') ?? '0').split('.').map(Number)
  if (major < 6 || (major === 6 && minor < 2))
    problems.push(`Redis is version ${major}.${minor}; 6.2 or later is needed`)
  if (info.get('aof_enabled') !== '1')
    problems.push('the append-only file is off: a restart of Redis loses accepted jobs (--appendonly yes)')
  else if ((await configOf(redis, 'appendfsync')) === 'no')
    problems.push('appendfsync is no: a power failure loses up to half a minute of jobs (--appendfsync everysec)')
  if ((info.get('aof_last_write_status') ?? 'ok') !== 'ok')
    problems.push('the append-only file cannot be written: the disk of Redis may be full')
  if ((info.get('role') ?? 'master') !== 'master')
    problems.push('it is a replica, which takes no changes: REDIS_URL must be that of the master')
  const policy = info.get('maxmemory_policy')
  if (policy !== undefined && policy !== 'noeviction') {
    problems.push(`maxmemory-policy is ${policy}: a full Redis drops jobs (--maxmemory-policy noeviction)`)
  }
  return problems
}

/** The value of a setting of Redis; undefined when it cannot be read. */
async function configOf(redis: Redis, name: string): Promise<string | undefined> {
  try {
    const reply = (await redis.config('GET', name)) as string[] | Record<string, string>
    return Array.isArray(reply) ? reply[1] : reply[name]
  } catch (error) {
    if (isRefusedCommand(error)) return undefined
    throw error
  }
}

/** Whether the ACL or a managed Redis does not permit the command. */
function isRefusedCommand(error: unknown): boolean {
  return /NOPERM|unknown command|disabled|not allowed/i.test(messageOf(error))
}

export interface MemoryInfo {
  /** Bytes. */
  used: number
  /** `maxmemory`, or without it the memory of the machine; bytes. */
  limit: number
}

/** The memory of Redis; of a cluster, that of the fullest master. */
export async function readMemory(redis: Redis): Promise<MemoryInfo> {
  const all = await Promise.all(mastersOf(redis).map(memoryOf))
  const shareOf = ({ used, limit }: MemoryInfo) => (limit > 0 ? used / limit : 0)
  return all.reduce((fullest, each) => (shareOf(each) > shareOf(fullest) ? each : fullest), all[0] ?? NO_MEMORY)
}

const NO_MEMORY: MemoryInfo = { used: 0, limit: 0 }

async function memoryOf(redis: Redis): Promise<MemoryInfo> {
  const info = parseInfo(await redis.info('memory'))
  const bytes = (name: string) => Number(info.get(name) ?? 0)
  return { used: bytes('used_memory'), limit: bytes('maxmemory') || bytes('total_system_memory') }
}

/** Parses the reply of INFO to names and values. */
function parseInfo(info: string): Map<string, string> {
  const pairs = info.split(/\r?\n/).flatMap((line) => {
    const colon = line.indexOf(':')
    return colon > 0 ? [[line.slice(0, colon), line.slice(colon + 1)] as const] : []
  })
  return new Map(pairs)
}
