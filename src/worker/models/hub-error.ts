// Errors of the Hub: what a response's status and headers mean, and how long the Hub asks to wait.
import { retryAfterMs } from '../../async.ts'

/** `isTransient`: a retry may succeed. */
export class HubError extends Error {
  override name = 'HubError'
  readonly isTransient: boolean
  /** Milliseconds that the Hub asks to wait before the next request. */
  readonly waitMs: number | undefined

  constructor(message: string, isTransient: boolean, waitMs?: number) {
    super(message)
    this.isTransient = isTransient
    this.waitMs = waitMs
  }
}

export interface HubRequest {
  token: string | undefined
  /** `owner/name`. */
  model: string
  revision: string
  /** Undefined for the list of files. */
  file: string | undefined
}

const MAX_SENTENCE_CHARS = 300

/**
 * Explains a response that is not ok, by its `X-Error-Code` and `X-Error-Message`
 * (`hf_raise_for_status` of huggingface_hub); a mirror may have neither.
 */
export function hubErrorOf({ status, headers }: Response, { token, model, revision, file }: HubRequest): HubError {
  const sentence = sentenceIn(headers)
  const because = sentence ? `: ${sentence}` : ''
  const refused = (message: string) => new HubError(message, false)
  const unseen = token ? 'or HF_TOKEN has no permission for it' : 'or it is private and needs HF_TOKEN'
  switch (headers.get('x-error-code')) {
    case 'GatedRepo': {
      const remedy = token
        ? 'ask for access with the account of HF_TOKEN'
        : 'set HF_TOKEN to a token of an account with access'
      return refused(`${model} is gated; ${remedy}${because}`)
    }
    case 'RepoNotFound':
      return refused(`the Hub has no model ${model}, ${unseen}`)
    case 'RevisionNotFound':
      return refused(`the Hub has no revision ${revision} of ${model}`)
    case 'EntryNotFound':
      return refused(`the Hub has no ${file ?? 'such file'} in ${model} at revision ${revision}`)
    case 'DisabledRepo':
      return refused(`the Hub has disabled ${model}${because}`)
    default:
      break
  }
  if (status === 401) {
    return refused(
      token
        ? 'the Hub does not accept HF_TOKEN'
        : 'the Hub requires a token: set HF_TOKEN (it answers the same for a model that does not exist)',
    )
  }
  if (status === 403) {
    const remedy = token ? 'HF_TOKEN has no permission for this model' : 'set HF_TOKEN'
    return refused(`the Hub denies access; ${remedy}${because}`)
  }
  if (status === 404) return refused(`the Hub has no ${file ?? `${model} at revision ${revision}`}`)
  const isTransient = status >= 500 || status === 429
  return new HubError(`the Hub answers ${status}${because}`, isTransient, isTransient ? waitIn(headers) : undefined)
}

/** The Hub's own sentence, in one line. */
function sentenceIn(headers: Headers): string {
  const line = (headers.get('x-error-message') ?? '').replace(/[\p{C}\s]+/gu, ' ').trim()
  return line.length > MAX_SENTENCE_CHARS ? `${line.slice(0, MAX_SENTENCE_CHARS)}…` : line
}

/**
 * Milliseconds of `Retry-After` (seconds, or a date) or of the `t` in `RateLimit: "api";r=0;t=6`
 * (draft-ietf-httpapi-ratelimit-headers), the longer of both; undefined without either.
 */
function waitIn(headers: Headers): number | undefined {
  const after = retryAfterMs(headers.get('retry-after'))
  const limit = /;\s*t=(\d+)/.exec(headers.get('ratelimit') ?? '')?.[1]
  if (limit === undefined) return after
  return Math.max(after ?? 0, Number(limit) * 1_000)
}
