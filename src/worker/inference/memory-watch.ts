// Watches the memory of an inference process from outside, because native code that takes it blocks the process.
import { readFileSync } from 'node:fs'
import { pause } from '../../async.ts'

const POLL_MS = 100

/**
 * Resolves with true once the process has more than `limit` bytes in memory; with false when the signal aborts, when the
 * process has ended, or where there is no /proc.
 */
export async function exceedsMemory(pid: number, limit: number, signal: AbortSignal): Promise<boolean> {
  while (await pause(POLL_MS, signal)) {
    const resident = residentBytes(pid)
    if (resident === undefined) return false
    if (resident > limit) return true
  }
  return false
}

function residentBytes(pid: number): number | undefined {
  try {
    const [, kilobytes] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
    return kilobytes === undefined ? undefined : Number(kilobytes) * 1_024
  } catch {
    return undefined
  }
}
