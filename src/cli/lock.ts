// Lock of what a command writes: one process at a time.
import { lock } from 'proper-lockfile'
import { pause } from '../async.ts'
import { CommandError } from './failure.ts'
import { report, type Terminal } from './terminal.ts'

/** The lock of a process that was killed is taken over after this time. */
const STALE_MS = 5_000
const RENEW_MS = 1_000
const POLL_MS = 250

export interface LockTarget {
  /** The path of the lock, a folder that exists only while it is held. */
  path: string
  /** What it protects, for messages. */
  name: string
}

/**
 * Runs the task while the lock is held; the task's signal also aborts when the lock is lost.
 * @throws CommandError when another process holds it.
 */
export async function withLock<T>(
  { path, name }: LockTarget,
  terminal: Terminal,
  task: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const lost = new AbortController()
  const options = {
    lockfilePath: path,
    realpath: false,
    stale: STALE_MS,
    update: RENEW_MS,
    onCompromised: () => lost.abort(new CommandError(`another process has taken the lock of ${name}`)),
  }
  for (let waited = 0; ; waited += POLL_MS) {
    const release = await lock(path, options).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ELOCKED') throw error
    })
    if (release) {
      try {
        return await task(AbortSignal.any([terminal.signal, lost.signal]))
      } finally {
        await release().catch(() => undefined)
      }
    }
    if (waited === 0)
      report(
        terminal,
        `${name} is locked by another run; waiting (a run that crashed keeps its lock for ${STALE_MS / 1_000} s)`,
      )
    if (waited > STALE_MS + 2 * RENEW_MS) {
      throw new CommandError(`another inferq command writes ${name}: wait for its end`)
    }
    if (!(await pause(POLL_MS, terminal.signal))) throw terminal.signal.reason
  }
}
