// Processes of the measured stack.
import { readFileSync } from 'node:fs'

/** Pids of the children of a process. @throws on systems without /proc. */
export function childrenOf(pid: number): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(/\s+/).filter(Boolean).map(Number)
}
