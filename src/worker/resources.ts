// What this machine, or the container around this process, allows.
import { readFileSync } from 'node:fs'
import { availableParallelism, totalmem } from 'node:os'

/** A process with a small model, its tokenizer and Node itself. */
const BYTES_A_PROCESS = 300 * 1_048_576
const MOST = 8

/** One inference process a CPU and one for each 300 MB, at least 1, at most 8. */
export function defaultProcesses(): number {
  return Math.max(1, Math.min(cpus(), Math.floor(memory() / BYTES_A_PROCESS), MOST))
}

/** CPUs that this process may use up; a container's quota counts. */
function cpus(): number {
  return Math.min(availableParallelism(), cpuQuota(readIfThere('/sys/fs/cgroup/cpu.max')) ?? Number.POSITIVE_INFINITY)
}

/** CPUs from a cgroup's `cpu.max`: a quota and a period in microseconds; undefined when there is no limit. */
export function cpuQuota(cpuMax: string): number | undefined {
  const [quota, period] = cpuMax.trim().split(/\s+/).map(Number)
  return quota && period ? Math.max(1, Math.round(quota / period)) : undefined
}

function memory(): number {
  const limit = process.constrainedMemory()
  return limit > 0 ? Math.min(limit, totalmem()) : totalmem()
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
