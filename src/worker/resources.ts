// CPU and memory limits of this machine or container.
import { readFileSync } from 'node:fs'
import { availableParallelism, totalmem } from 'node:os'
import { join } from 'node:path'

/** The memory of an inference process: a small model, its tokenizer and Node itself. */
const BYTES_PER_PROCESS = 300 * 1_048_576
const MAX_PROCESSES = 8
/** Above this share, the kernel would soon end some process of the machine or container. */
const MEMORY_SHARE = 0.8

/** One inference process per CPU, but at most one per 300 MB and at most 8; at least 1. */
export function defaultProcesses(): number {
  return Math.max(1, Math.min(cpus(), Math.floor(memory() / BYTES_PER_PROCESS), MAX_PROCESSES))
}

/** The bytes that one inference process may take. */
export function defaultInferenceMemory(): number {
  return MEMORY_SHARE * memory()
}

/** CPUs that this process may use, with respect to a container's quota. */
function cpus(): number {
  return Math.min(availableParallelism(), cpuQuota('/sys/fs/cgroup') ?? Number.POSITIVE_INFINITY)
}

/**
 * Returns the CPUs of a cgroup's quota, undefined when there is no limit. Version 2 has quota and period, microseconds,
 * in `cpu.max`; version 1 in two files, and -1 for no limit.
 */
export function cpuQuota(dir: string): number | undefined {
  const version1 = ['quota', 'period'].map((name) => readOptional(join(dir, `cpu/cpu.cfs_${name}_us`)).trim())
  const text = readOptional(join(dir, 'cpu.max')) || version1.join(' ')
  const [quota = 0, period = 0] = text.trim().split(/\s+/).map(Number)
  return quota > 0 && period > 0 ? Math.max(1, Math.round(quota / period)) : undefined
}

function memory(): number {
  const limit = process.constrainedMemory()
  return limit > 0 ? Math.min(limit, totalmem()) : totalmem()
}

function readOptional(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
