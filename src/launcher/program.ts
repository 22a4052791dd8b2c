// Starts the api or a worker as a child process that stops when its parent dies.
import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { pathToFileURL } from 'node:url'
import { packagePath } from '../package.ts'

const exitWithParent = pathToFileURL(packagePath('dist/launcher/exit-with-parent.js')).href

/** @param program the folder of src whose main.ts runs. @param onOutput receives each line of stdout and stderr. */
export function spawnProgram(
  program: 'api' | 'worker',
  env: NodeJS.ProcessEnv,
  onOutput: (line: string) => void,
): ChildProcess {
  const file = packagePath('dist', program, 'main.js')
  // A separate process group does not receive Ctrl-C from the terminal: the launcher decides the order of the stop.
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
