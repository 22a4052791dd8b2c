// Errors that a caller may see: each has a type, an HTTP status and headers; the HTTP layer only formats them.

/** The `error_type` of a response: Text Embeddings Inference's values first, then ours (http-api.md, "Errors"). */
export type ErrorType = (typeof ERROR_TYPES)[number]

export const ERROR_TYPES = [
  'Empty',
  'Validation',
  'Tokenizer',
  'Backend',
  'Overloaded',
  'Unhealthy',
  'Timeout',
  'NotFound',
  'Gone',
  'Conflict',
  'Unauthorized',
  'TooLarge',
  'StorageFull',
] as const

export interface AppErrorOptions {
  /** HTTP headers of the response, for example `Retry-After`. */
  headers?: Record<string, string>
  /** Further members of the problem document, for example `errors`. */
  members?: Record<string, unknown>
  /** A label for metrics and logs: why the request is refused. */
  reason?: string
  cause?: unknown
}

/** An error with a status; its message is sent to the caller, so it never contains a user's text. */
export class AppError extends Error {
  readonly type: ErrorType
  readonly status: number
  readonly headers: Record<string, string>
  readonly members: Record<string, unknown>
  readonly reason: string | undefined

  constructor(type: ErrorType, status: number, detail: string, options: AppErrorOptions = {}) {
    super(detail, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'AppError'
    this.type = type
    this.status = status
    this.headers = options.headers ?? {}
    this.members = options.members ?? {}
    this.reason = options.reason
  }
}

export interface Problem {
  /** The place in the body, for example `inputs[3]`. */
  path: string
  message: string
}

export const malformed = (detail: string) => new AppError('Validation', 400, detail)
export const notFound = (detail: string) => new AppError('NotFound', 404, detail)
export const gone = (detail: string) => new AppError('Gone', 410, detail)
/** 409; OpenAI's clients repeat one unless the header refuses it, and the answer would be the same. */
export const conflict = (detail: string) =>
  new AppError('Conflict', 409, detail, { headers: { 'X-Should-Retry': 'false' } })
export const timedOut = (detail: string) => new AppError('Timeout', 504, detail)

/** Problems that one refusal lists. */
export const MAX_PROBLEMS = 100
/** Bytes of the listed problems, and characters of one of them and of the sentence that joins them. */
const [MAX_LISTED_BYTES, MAX_PROBLEM_CHARS, MAX_DETAIL_CHARS] = [32_768, 300, 2_000]

/** 422 with the problems of the body: the first ones, cut, so that a refusal has less than 64 kB. */
export function invalid(problems: Problem[]): AppError {
  const errors = listable(problems)
  const detail = errors.map(({ path, message }) => (path ? `${path}: ${message}` : message)).join('; ')
  const rest = errors.length < problems.length ? '; and more' : ''
  return new AppError('Validation', 422, `${cut(detail, MAX_DETAIL_CHARS)}${rest}`, { members: { errors } })
}

/** The first problems, at most MAX_PROBLEMS of them, with cut messages. */
export function listable<T extends { message: string; path?: string }>(problems: T[]): T[] {
  let bytes = 0
  const listed: T[] = []
  for (const problem of problems.slice(0, MAX_PROBLEMS)) {
    const short = { ...problem, message: cut(problem.message, MAX_PROBLEM_CHARS) }
    if (problem.path !== undefined) short.path = cut(problem.path, MAX_PROBLEM_CHARS)
    bytes += Buffer.byteLength(JSON.stringify(short))
    if (bytes > MAX_LISTED_BYTES) break
    listed.push(short)
  }
  return listed
}

function cut(text: string, chars: number): string {
  return text.length > chars ? `${text.slice(0, chars).toWellFormed()}…` : text.toWellFormed()
}

/** 503: Redis or every worker of a model is unavailable. */
export function unavailable(detail: string, cause?: unknown): AppError {
  return new AppError('Unhealthy', 503, detail, { headers: { 'Retry-After': '1' }, cause })
}

/** A process cannot start; the message contains the remedy and is printed without its stack. */
export class StartupError extends Error {
  override name = 'StartupError'
}

/** The end of V8's message that begins with a piece of the input; its other messages have positions only. */
const QUOTED_JSON = ' is not valid JSON'
const QUOTED_ARGUMENTS = /, with args beginning with: .*$/s

/**
 * The message of anything that was thrown, for logs: without what JSON.parse quotes of its input and Redis of the arguments
 * of a command it does not know. Both may be a user's text.
 */
export function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  if (error.name === 'SyntaxError' && error.message.endsWith(QUOTED_JSON)) return 'invalid JSON'
  return error.message.replace(QUOTED_ARGUMENTS, '')
}

/** Converts `NotFound` to `not_found`. */
export function codeOf(type: string): string {
  return type.replaceAll(/(?<!^)[A-Z]/g, (letter) => `_${letter}`).toLowerCase()
}
