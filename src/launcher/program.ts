// Starts a program of dist/ as a child process that stops when its parent dies.
import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'

const exitWithParent = new URL('./exit-with-parent.js', import.meta.url).href

/** @param program the room of src whose main.ts runs. @param onOutput gets each line of stdout and stderr. */
export function spawnProgram(
  program: 'api' | 'worker',
  env: NodeJS.ProcessEnv,
  onOutput: (line: string) => void,
): ChildProcess {
  const file = new URL(`../${program}/main.js`, import.meta.url).pathname
  // The process group keeps a Ctrl-C in the terminal from the child: the launcher decides the order of the stop.
  const child = spawn(process.execPath, ['--import', exitWithParent, file], {
    env,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  })
  for (const stream of [child.stdout, child.stderr]) {
    if (stream) createInterface({ input: stream }).on('line', onOutput)
  }
  return child
}
