// Errors of the client: an error response, no response, or a batch without all results.
import type { Batch } from './types.ts'

/** The server responded with an error; the message is the server's, for the user. */
export class InferqError extends Error {
  override name = 'InferqError'
  readonly status: number
  /** `error_type` of a problem document, or `code` of an error in OpenAI's shape. */
  readonly type: string
  /** The problems of single members of the request; empty when the response lists none. */
  readonly problems: InputProblem[]
  readonly requestId: string | undefined
  /** Seconds until a retry may succeed. */
  readonly retryAfter: number | undefined

  constructor(status: number, message: string, details: ErrorDetails = {}) {
    super(message)
    this.status = status
    this.type = details.type ?? 'Unknown'
    this.problems = details.problems ?? []
    this.requestId = details.requestId
    this.retryAfter = details.retryAfter
  }
}

export interface InputProblem {
  path?: string
  index?: number
  message: string
}

interface ErrorDetails {
  type?: string | undefined
  problems?: InputProblem[] | undefined
  requestId?: string | undefined
  retryAfter?: number | undefined
}

/** The server did not answer, or the connection was lost. */
export class ConnectionError extends Error {
  override name = 'ConnectionError'
  readonly url: string

  constructor(url: string, cause: unknown) {
    super(`${url} does not answer (${reasonOf(cause)})`, { cause })
    this.url = url
  }
}

/** A batch has ended without the results of all of its rows. */
export class BatchError extends Error {
  override name = 'BatchError'
  readonly batch: Batch

  constructor(batch: Batch) {
    const reason = batch.errors?.data[0]?.message
    super(`the batch ${batch.id} is ${batch.status}${reason ? `: ${reason}` : ' without all of its results'}`)
    this.batch = batch
  }
}

/** Reads a response that is not 2xx: a problem document, an error in OpenAI's shape, or the body of another program. */
export async function errorOf(response: Response): Promise<InferqError> {
  const text = await response.text().catch(() => '')
  const common = {
    requestId: response.headers.get('x-request-id') ?? undefined,
    retryAfter: secondsUntil(response.headers.get('retry-after')),
  }
  const body = parsed(text)
  if (!body) {
    return new InferqError(
      response.status,
      `unexpected response with status ${response.status}; does the URL belong to inferq?`,
      common,
    )
  }
  const { error, error_type, detail, errors } = body
  const inner = typeof error === 'object' && error !== null ? (error as Record<string, unknown>) : undefined
  const message = [inner?.['message'], detail, error].find((value) => typeof value === 'string')
  return new InferqError(response.status, message ?? `the server returned status ${response.status}`, {
    ...common,
    type: [error_type, inner?.['code'], inner?.['type']].find((value) => typeof value === 'string'),
    problems: Array.isArray(errors) ? (errors as InputProblem[]) : undefined,
  })
}

/** @param retryAfter seconds or a date (RFC 9110, 10.2.3). */
function secondsUntil(retryAfter: string | null): number | undefined {
  if (retryAfter === null || retryAfter.trim() === '') return undefined
  const seconds = Number.isFinite(Number(retryAfter))
    ? Number(retryAfter)
    : Math.ceil((Date.parse(retryAfter) - Date.now()) / 1_000)
  return Number.isFinite(seconds) ? Math.max(0, seconds) : undefined
}

function parsed(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}

/** The message of a fetch error is only "fetch failed"; the reason is the innermost cause. */
function reasonOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return reasonOf(error.errors[0])
  if (!(error instanceof Error)) return String(error)
  if (error.cause !== undefined) return reasonOf(error.cause)
  return (error as Error & { code?: string }).code ?? error.message
}
