// Tells a process from a later one with the same process id.
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

export function isAlive(pid: number): boolean {
  try {
    return pid > 0 && process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** A text that differs between processes with the same id; empty when the system does not have it, or it has ended. */
export function startOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The fields after the program's name, which may contain spaces; the 20th is the start in clock ticks since boot.
    const ticks = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
    return `${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()}-${ticks}`
  } catch {
    return process.platform === 'linux'
      ? ''
      : spawnSync('ps', ['-o', 'lstart=', '-p', `${pid}`])
          .stdout?.toString()
          .trim()
  }
}

/** The command line of a process; empty on systems without /proc. */
export function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8')
  } catch {
    return ''
  }
}
