// The `inferq` command: its process.
import { EXIT, explain, InterruptedError } from './failure.ts'
import { runProgram } from './program.ts'
import { report, type Terminal } from './terminal.ts'

const stopping = new AbortController()
const { stdin, stdout, stderr } = process
const terminal: Terminal = { stdin, stdout, stderr, signal: stopping.signal }

onSignals()
// Whoever read our output has enough (`inferq … | head`): that is no failure.
stdout.on('error', () => process.exit(EXIT.ok))

try {
  process.exitCode = await runProgram(process.argv.slice(2), terminal)
} catch (error) {
  if (stopping.signal.aborted) {
    if (error instanceof InterruptedError && error.message !== '') report(terminal, error.message)
    process.exitCode = EXIT.interrupted
  } else {
    const { message, code } = explain(error)
    report(terminal, message)
    if (process.env['INFERQ_DEBUG']) console.error(error)
    process.exitCode = code
  }
}
// A pipe that nobody closes, or an upload that was given up, must not keep us.
stdout.write('', () => process.exit())

/** The first Ctrl-C stops in good order, a later one at once. */
function onSignals(): void {
  let first = 0
  const onSignal = () => {
    if (!stopping.signal.aborted) {
      first = Date.now()
      stopping.abort(new InterruptedError(''))
      // npx passes on the Ctrl-C that the terminal has already sent: the two come together and are one.
    } else if (Date.now() - first > 500) {
      process.exit(EXIT.interrupted)
    }
  }
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, onSignal)
}
