// Redis of REDIS_URL: whether it answers, keeps what it acknowledges, has memory, and has this machine's time.
import { constants } from 'node:fs'
import { access } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { closeConnection, producerConnection, waitForConnection } from '../../redis/connection.ts'
import { durabilityProblems, readMemory } from '../../redis/info.ts'
import type { RedisAddress } from '../../redis/settings.ts'
import { checkRedis as checkAddress } from '../../redis/usable.ts'
import { bytesText } from '../format.ts'
import type { Finding } from './finding.ts'

type Found = Omit<Finding, 'check'>

const BINARIES = ['redis-server', 'valkey-server']
/** Shares of the memory limit; from the last one on the api refuses work. */
const [FILLING_SHARE, FULL_SHARE] = [0.7, 0.9]
const MAX_OFFSET_S = 5
const NTP = 'synchronize the clocks of the machines, for example: timedatectl set-ntp true'

/** @param address undefined without REDIS_URL. @param isRequired REQUIRE_DURABLE. */
export async function checkRedis(
  address: RedisAddress | undefined,
  isRequired: boolean,
  env: NodeJS.ProcessEnv,
): Promise<Found[]> {
  if (address === undefined) return [await privateRedis(env)]
  const check = await checkAddress(address)
  if (check.state !== 'usable') {
    const remedy = check.state === 'away' ? 'start Redis, or correct REDIS_URL' : 'correct REDIS_URL'
    return [{ level: 'problem', message: check.reason, remedy }]
  }
  const redis = producerConnection(address, () => undefined)
  try {
    await waitForConnection(redis)
    const began = performance.now()
    const [seconds = 0] = (await redis.time()).map(Number)
    const milliseconds = performance.now() - began
    const durability = await durabilityProblems(redis)
    const memory = await readMemory(redis)
    return [
      { level: 'ok', message: `Redis answers in ${milliseconds.toFixed(1)} ms` },
      ...durability.map((problem) => durabilityFinding(problem, isRequired)),
      memoryFinding(memory),
      ...clockFinding('Redis', seconds - Date.now() / 1_000),
    ]
  } finally {
    closeConnection(redis)
  }
}

/** @param offset seconds by which the clock of another machine is ahead. */
export function clockFinding(what: string, offset: number): Found[] {
  if (Math.abs(offset) <= MAX_OFFSET_S) return []
  const seconds = `${Math.round(Math.abs(offset))} s ${offset > 0 ? 'fast' : 'slow'}`
  return [{ level: 'warning', message: `the clock of ${what} is ${seconds}, by this machine's`, remedy: NTP }]
}

/** The remedy of a problem is in parentheses at its end, where it is an argument of redis-server. */
function durabilityFinding(problem: string, isRequired: boolean): Found {
  const [, message = problem, options] = /^(.*) \((--[^)]*)\)$/.exec(problem) ?? []
  const remedy = options ? `start Redis with ${options}` : 'see "Redis" in docs/operations.md'
  return { level: isRequired ? 'problem' : 'warning', message, remedy }
}

function memoryFinding({ used, limit }: { used: number; limit: number }): Found {
  const share = limit > 0 ? used / limit : 0
  const message = `Redis uses ${bytesText(used)} of ${bytesText(limit)}`
  const remedy = 'raise maxmemory, or lower RESULT_TTL; the api refuses work from 90 % on'
  if (share < FILLING_SHARE) return { level: 'ok', message }
  return { level: share < FULL_SHARE ? 'warning' : 'problem', message, remedy }
}

/** `inferq serve` starts it from the machine's program. */
async function privateRedis(env: NodeJS.ProcessEnv): Promise<Found> {
  const places = (env['PATH'] ?? '').split(delimiter).flatMap((dir) => BINARIES.map((name) => join(dir, name)))
  const found = await Promise.all(
    places.map((path) =>
      access(path, constants.X_OK).then(
        () => path,
        () => undefined,
      ),
    ),
  )
  const path = found.find((each) => each !== undefined)
  if (path) return { level: 'ok', message: `REDIS_URL is not set; inferq serve starts a private Redis with ${path}` }
  const remedy = 'install redis-server or valkey-server, or set REDIS_URL; inferq serve tries to install it'
  return { level: 'warning', message: 'REDIS_URL is not set, and no Redis server is installed', remedy }
}
