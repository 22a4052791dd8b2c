// Process of the `inferq` command.
import { EXIT, explain, InterruptedError } from './failure.ts'
import { runProgram } from './program.ts'
import { report, type Terminal } from './terminal.ts'

/** npx repeats the Ctrl-C that the terminal already sent; both arrive within this time and count as one. */
const SAME_SIGNAL_MS = 500

const interrupted = new AbortController()
const { stdin, stdout, stderr } = process
const terminal: Terminal = { stdin, stdout, stderr, signal: interrupted.signal }

onSignals()
// A reader that closes the pipe early (`inferq … | head`) is not a failure.
stdout.on('error', () => process.exit(EXIT.ok))

try {
  process.exitCode = await runProgram(process.argv.slice(2), terminal)
} catch (error) {
  if (interrupted.signal.aborted) {
    if (error instanceof InterruptedError && error.message !== '') report(terminal, error.message)
    process.exitCode = EXIT.interrupted
  } else {
    const { message, code } = explain(error)
    report(terminal, message)
    if (process.env['INFERQ_DEBUG']) console.error(error)
    process.exitCode = code
  }
}
// An open stdin or an aborted upload would keep the process alive.
stdout.write('', () => process.exit())

/** The first signal aborts the command, which saves its state; a later one exits immediately. */
function onSignals(): void {
  let first = 0
  const onSignal = () => {
    if (!interrupted.signal.aborted) {
      first = Date.now()
      interrupted.abort(new InterruptedError(''))
    } else if (Date.now() - first > SAME_SIGNAL_MS) {
      process.exit(EXIT.interrupted)
    }
  }
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, onSignal)
}
