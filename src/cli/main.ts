// Process of the `inferq` command.
import { createWriteStream, fstatSync } from 'node:fs'
import { isatty } from 'node:tty'
import { EXIT, explain, InterruptedError, isClosedPipe } from './failure.ts'
import { runProgram } from './program.ts'
import { type OutputStream, report, type Terminal } from './terminal.ts'

/** npx repeats the Ctrl-C that the terminal already sent; both arrive within this time and count as one. */
const SAME_SIGNAL_MS = 500

const interrupted = new AbortController()
const { stdin, stderr } = process
const stdout = openStdout()
const terminal: Terminal = { stdin, stdout, stderr, signal: interrupted.signal }
/** Whether a note could not be written; the results are not affected, but the exit code is. */
let isNoteLost = false

onSignals()
stdout.on('error', (error) => exit(endOf(error)))
stderr.on('error', (error) => (isNoteLost ||= !isClosedPipe(error)))

try {
  end(await runProgram(process.argv.slice(2), terminal))
} catch (error) {
  end(endOf(error))
}

/** A stream that writes all bytes: process.stdout loses the rest of a write that the disk has no room for. */
function openStdout(): OutputStream {
  try {
    const found = fstatSync(1)
    if (found.isFile() || (found.isCharacterDevice() && !isatty(1))) {
      return createWriteStream('', { fd: 1, autoClose: false })
    }
  } catch {
    // A closed stdout.
  }
  return process.stdout
}

/** Reports an error. @returns the exit code. */
function endOf(error: unknown): number {
  if (interrupted.signal.aborted) {
    if (error instanceof InterruptedError && error.message !== '') report(terminal, error.message)
    return EXIT.interrupted
  }
  const { message, code } = explain(error)
  if (message !== '') report(terminal, message)
  if (process.env['INFERQ_DEBUG']) console.error(error)
  return code
}

/** Exits when stdout is written: an open stdin or an aborted upload would keep the process alive. */
function end(code: number): void {
  process.exitCode = code
  stdout.write('', (error) => {
    const failure = stdout.errored ?? error
    exit(failure ? endOf(failure) : code)
  })
}

function exit(code: number): void {
  process.exit(code === EXIT.ok && isNoteLost ? EXIT.failed : code)
}

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
