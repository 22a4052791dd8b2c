// Keeps the output of every process of a run, for the check at its end.
import type { ChildProcess } from 'node:child_process'
import { createWriteStream } from 'node:fs'
import { join } from 'node:path'

/** The folder of this run's output; set by check.ts, whose environment the test processes inherit. */
export const OUTPUT_DIR = 'TEST_OUTPUT_DIR'

let count = 0

/**
 * Copies stdout and stderr of a process to a file of the run; without a run that checks output it does nothing.
 * @param kind `service`: its output contains no text of a user. `cli`: it may show texts.
 */
export function recordOutput(child: ChildProcess, kind: 'service' | 'cli'): void {
  const dir = process.env[OUTPUT_DIR]
  if (dir === undefined) return
  for (const stream of [child.stdout, child.stderr]) {
    count += 1
    stream?.pipe(createWriteStream(join(dir, `${kind}-${process.pid}-${count}.log`)))
  }
}
