// Errors of a command, their messages and exit codes.
import { ConnectionError, InferqError } from '../client/errors.ts'
import { InvalidTextError } from '../client/http/lines.ts'

export const EXIT = { ok: 0, failed: 1, usage: 2, interrupted: 130 } as const

/** An expected failure; the message states what failed and what to do. */
export class CommandError extends Error {
  override name = 'CommandError'
}

/** The arguments of the command are invalid: exit code 2. */
export class UsageError extends CommandError {
  override name = 'UsageError'
}

/** The command was interrupted by a signal; the message, if any, states what remains. */
export class InterruptedError extends Error {
  override name = 'InterruptedError'
}

/** @returns the message for the user, without a stack, and the exit code; the message of a success is empty. */
export function explain(error: unknown): { message: string; code: number } {
  if (isClosedPipe(error)) return { message: '', code: EXIT.ok }
  if (error instanceof UsageError) return { message: error.message, code: EXIT.usage }
  if (error instanceof ConnectionError) {
    const hint = 'Is inferq running there? "inferq serve" starts it; --url or INFERQ_URL selects another server.'
    return { message: `${error.message}. ${hint}`, code: EXIT.failed }
  }
  if (error instanceof InferqError) return { message: explainResponse(error), code: EXIT.failed }
  if (error instanceof CommandError || error instanceof InvalidTextError)
    return { message: error.message, code: EXIT.failed }
  if (isSystemError(error)) return { message: explainSystem(error), code: EXIT.failed }
  const message = error instanceof Error ? error.message : String(error)
  return { message: `unexpected error: ${message} (INFERQ_DEBUG=1 prints its stack)`, code: EXIT.failed }
}

function explainResponse(error: InferqError): string {
  if (error.status === 401) return `the server requires an API key (${error.message}): pass --key or set INFERQ_API_KEY`
  const id = error.status >= 500 && error.requestId ? ` (request ${error.requestId})` : ''
  return `the server responded: ${error.message}${id}`
}

/** A reader that closes its pipe early (`inferq … | head`) is not a failure. */
export function isClosedPipe(error: unknown): boolean {
  return isSystemError(error) && error.code === 'EPIPE' && error.syscall === 'write'
}

function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'code' in error && 'syscall' in error
}

const SYSTEM_MESSAGES: Record<string, string> = {
  ENOENT: 'no such file or folder',
  EACCES: 'permission denied',
  EISDIR: 'is a folder',
  ENOTDIR: 'a part of the path is not a folder',
  ENOSPC: 'the disk is full',
  EDQUOT: 'the disk quota is exceeded',
  EROFS: 'the file system is read-only',
  EFBIG: 'the file is too large',
  ENAMETOOLONG: 'the file name is too long',
}

function explainSystem(error: NodeJS.ErrnoException & { dest?: string }): string {
  const { code = '', message } = error
  // Of a copy, the file that is written.
  const path = code === 'ENOSPC' ? (error.dest ?? error.path) : error.path
  const reason = SYSTEM_MESSAGES[code]
  const text = reason ?? message
  return path && !text.includes(path) ? `${path}: ${text}` : text
}
