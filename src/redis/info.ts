// Reads Redis' INFO: durability and memory.
import type { Redis } from 'ioredis'

/**
 * Checks that Redis keeps what it acknowledges: append-only file on, no eviction, version 6.2 or later.
 * @returns one line for each problem; empty when there is none.
 */
export async function durabilityProblems(redis: Redis): Promise<string[]> {
  const info = parseInfo(await redis.info())
  const problems: string[] = []
  const [major = 0, minor = 0] = (info.get('redis_version') ?? '0').split('.').map(Number)
  if (major < 6 || (major === 6 && minor < 2))
    problems.push(`Redis is version ${major}.${minor}; 6.2 or later is needed`)
  if (info.get('aof_enabled') !== '1')
    problems.push('the append-only file is off: a restart of Redis loses accepted jobs (--appendonly yes)')
  const policy = info.get('maxmemory_policy')
  if (policy !== undefined && policy !== 'noeviction') {
    problems.push(`maxmemory-policy is ${policy}: a full Redis drops jobs (--maxmemory-policy noeviction)`)
  }
  return problems
}

export interface MemoryInfo {
  /** Bytes. */
  used: number
  /** `maxmemory`, or without it the memory of the machine; bytes. */
  limit: number
}

export async function readMemory(redis: Redis): Promise<MemoryInfo> {
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
