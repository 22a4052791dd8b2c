// What the processes of a cluster hold at one moment.
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { childrenOf } from '../../helpers/processes.ts'
import { call } from '../runner/calls.ts'
import type { Cluster } from '../runner/cluster.ts'
import type { Series } from './growth.ts'

const KB_PER_MB = 1_024
const BYTES_PER_MB = 1_048_576

/** `[figure, unit, growth that counts as flat]` */
const FIGURES = [
  ['api, resident memory', 'MB', 15],
  ['api, heap in use', 'MB', 10],
  ['api, open files and sockets', '', 10],
  ['api, event-loop delay (p99)', 'ms', 20],
  ['worker, resident memory', 'MB', 15],
  ['worker, open files and sockets', '', 10],
  ['inference process, resident memory', 'MB', 15],
  // Lists go on after what was deleted, for an hour.
  ['Redis, keys, without the marks of deleted files and batches', '', 100],
  ['Redis, memory', 'MB', 5],
  ['Redis, connections', '', 5],
  ['files and batches, on disk', 'MB', 5],
  ['files and batches, number of files', '', 20],
] as const

export class Samples {
  readonly #cluster: Cluster
  readonly #redis: Redis
  readonly #rows: number[][] = []

  constructor(cluster: Cluster) {
    this.#cluster = cluster
    this.#redis = new Redis(cluster.redis.url)
  }

  stop(): void {
    this.#redis.disconnect()
  }

  async take(): Promise<void> {
    const { apis, workers, stack } = this.#cluster
    const api = apis[0]?.process.child.pid ?? 0
    const worker = workers[0]?.child.pid ?? 0
    const inference = await childrenOf(worker)
    const metrics = await (await call(`${this.#cluster.url}/metrics`)).text()
    const metric = (name: string) => Number(new RegExp(`^${name} (\\S+)`, 'm').exec(metrics)?.[1])
    const info = await this.#redis.info()
    const redis = (name: string) => Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(info)?.[1])
    const sizes = fileSizes(stack.filesDir)
    this.#rows.push([
      residentMb(api),
      metric('nodejs_heap_size_used_bytes') / BYTES_PER_MB,
      openFiles(api),
      metric('nodejs_eventloop_lag_p99_seconds') * 1_000,
      residentMb(worker),
      openFiles(worker),
      Math.max(...inference.map(residentMb)),
      (await this.#redis.dbsize()) - (await this.#redis.keys('*-removed:*')).length,
      redis('used_memory') / BYTES_PER_MB,
      redis('connected_clients'),
      sizes.reduce((sum, size) => sum + size, 0) / BYTES_PER_MB,
      sizes.length,
    ])
  }

  /** The series without the first `skip` samples. */
  series(skip: number): Series[] {
    const rows = this.#rows.slice(skip)
    return FIGURES.map(([what, unit, allowed], column) => {
      return { what, unit, allowed, values: rows.map((row) => row[column] ?? Number.NaN).filter(Number.isFinite) }
    })
  }

  get count(): number {
    return this.#rows.length
  }
}

/** NaN for a process that has just ended. */
function residentMb(pid: number): number {
  try {
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / KB_PER_MB
  } catch {
    return Number.NaN
  }
}

function openFiles(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length
}

function fileSizes(dir: string): number[] {
  return readdirSync(dir, { recursive: true, encoding: 'utf8' }).flatMap((name) => {
    // A file may be removed while the folder is read.
    const stat = statSync(join(dir, name), { throwIfNoEntry: false })
    return stat?.isFile() ? [stat.size] : []
  })
}
