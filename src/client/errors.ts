// What can go wrong, so that a program can tell it apart: the server said no, or nobody answered.

/** The server answered with an error. Its message is the server's, made for people. */
export class InferqError extends Error {
  override name = 'InferqError'
  readonly status: number
  /** `error_type` of a problem document, or `code` of an error in OpenAI's shape. */
  readonly type: string
  /** Where in the request the problems lie, as far as the server says. */
  readonly problems: InputProblem[]
  readonly requestId: string | undefined
  /** Seconds after which trying again may help. */
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

/** Nobody answered, or the connection broke off. */
export class ConnectionError extends Error {
  override name = 'ConnectionError'
  readonly url: string

  constructor(url: string, cause: unknown) {
    super(`${url} does not answer (${reasonOf(cause)})`, { cause })
    this.url = url
  }
}

/** The error of an answer that is not 2xx: a problem document, OpenAI's shape, or something that is not inferq. */
export async function errorOf(response: Response): Promise<InferqError> {
  const text = await response.text().catch(() => '')
  const retryAfter = Number(response.headers.get('retry-after') ?? Number.NaN)
  const common = {
    requestId: response.headers.get('x-request-id') ?? undefined,
    retryAfter: Number.isFinite(retryAfter) ? retryAfter : undefined,
  }
  const body = parsed(text)
  if (!body) {
    return new InferqError(
      response.status,
      `the answer is ${response.status} and not inferq's; is the URL right?`,
      common,
    )
  }
  const { error, error_type, detail, errors } = body
  const inner = typeof error === 'object' && error !== null ? (error as Record<string, unknown>) : undefined
  const message = [inner?.['message'], detail, error].find((said) => typeof said === 'string')
  return new InferqError(response.status, message ?? `the server answered ${response.status}`, {
    ...common,
    type: [error_type, inner?.['code'], inner?.['type']].find((said) => typeof said === 'string'),
    problems: Array.isArray(errors) ? (errors as InputProblem[]) : undefined,
  })
}

function parsed(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}

/** fetch says only "fetch failed"; the reason is somewhere in its causes. */
function reasonOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return reasonOf(error.errors[0])
  if (!(error instanceof Error)) return String(error)
  if (error.cause !== undefined) return reasonOf(error.cause)
  return (error as NodeJS.ErrnoException).code ?? error.message
}
