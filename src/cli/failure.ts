// What a person is told when a command cannot do what it was asked, and the exit code that goes with it.
import { InferqError, ConnectionError } from '../client/errors.ts'
import { InvalidTextError } from '../client/lines.ts'

export const EXIT = { ok: 0, failed: 1, usage: 2, interrupted: 130 } as const

/** Something expected went wrong; the message says what, and what to do. */
export class CommandError extends Error {
  override name = 'CommandError'
}

/** The command itself makes no sense: exit code 2. */
export class UsageError extends CommandError {
  override name = 'UsageError'
}

/** Why a command was told to stop; the reason of the terminal's signal. */
export class InterruptedError extends Error {
  override name = 'InterruptedError'
}

/** @returns the text for a person, without a stack, and the exit code. */
export function explain(error: unknown): { message: string; code: number } {
  if (error instanceof UsageError) return { message: error.message, code: EXIT.usage }
  if (error instanceof ConnectionError) {
    const hint = 'Is inferq running there? "npm start" starts it; --url or INFERQ_URL names another server.'
    return { message: `${error.message}. ${hint}`, code: EXIT.failed }
  }
  if (error instanceof InferqError) return { message: explainAnswer(error), code: EXIT.failed }
  if (error instanceof CommandError || error instanceof InvalidTextError)
    return { message: error.message, code: EXIT.failed }
  if (isSystemError(error)) return { message: explainSystem(error), code: EXIT.failed }
  const said = error instanceof Error ? error.message : String(error)
  return { message: `${said} (this should not happen; INFERQ_DEBUG=1 shows where)`, code: EXIT.failed }
}

function explainAnswer(error: InferqError): string {
  if (error.status === 401)
    return `the server wants an API key (${error.message}): give it with --key or INFERQ_API_KEY`
  const id = error.status >= 500 && error.requestId ? ` (request ${error.requestId})` : ''
  return `the server says: ${error.message}${id}`
}

function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'code' in error && 'syscall' in error
}

const SYSTEM: Record<string, string> = {
  ENOENT: 'there is no such file or folder',
  EACCES: 'reading or writing it is not allowed',
  EISDIR: 'it is a folder',
  ENOTDIR: 'a part of the path is no folder',
  ENOSPC: 'the disk is full',
}

function explainSystem({ code = '', path, message }: NodeJS.ErrnoException): string {
  const reason = SYSTEM[code]
  return reason ? (path ? `${path}: ${reason}` : reason) : message
}
