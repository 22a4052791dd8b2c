// Failures of requests to a bucket. Their messages may contain parts of a login, so that only their codes are used.
import type { BucketLocation } from './files-url.ts'

interface Failure {
  name?: string
  code?: unknown
  $metadata?: { httpStatusCode?: number }
}

/** Codes of answers that may come without a body. */
const CODES: Record<number, string> = { 412: 'PreconditionFailed', 416: 'InvalidRange' }
const FULL = ['QuotaExceeded', 'XMinioStorageFull', 'XMinioAdminBucketQuotaExceeded', 'StorageFull']
/** Refusals that may end without a change: a time-out, a conflict of two requests, too many requests. */
const PASSING = [408, 409, 425, 429]

/** The code that the server or the system gives, such as NoSuchKey or ECONNREFUSED. */
export function codeOfFailure(error: unknown): string {
  const { name, code } = error as Failure
  const known = CODES[statusOf(error) ?? 0] ?? (typeof code === 'string' && code !== '' ? code : name)
  return /^[\w.-]{1,60}$/.test(known ?? '') ? String(known) : 'unknown'
}

/** Whether a request failed; anything else is a fault of the code. */
export function isFailure(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  return (
    '$metadata' in error || 'code' in error || /^(?:TimeoutError|AbortError|CredentialsProviderError)$/.test(error.name)
  )
}

/** Whether the server has no space left. */
export function isFull(error: unknown): boolean {
  return statusOf(error) === 507 || FULL.includes(codeOfFailure(error))
}

/** What has to be changed before the bucket can be used; undefined for a failure that may pass. */
export function remedyFor(error: unknown, location: BucketLocation): string | undefined {
  const [code, status = 0] = [codeOfFailure(error), statusOf(error)]
  const place = placeOf(location)
  if (code === 'CredentialsProviderError')
    return 'there are no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY'
  if (/^Region (?:is missing|not accepted)/.test(error instanceof Error ? error.message : ''))
    return 'there is no region; add ?region=REGION, or set AWS_REGION'
  if (code === 'NoSuchBucket' || code === 'InvalidBucketName') return `${place} does not exist; create it`
  if (['PermanentRedirect', 'AuthorizationHeaderMalformed'].includes(code) || status === 301)
    return `${place} is in another region; add ?region=REGION`
  if (status === 401 || status === 403)
    return `${place} refuses these credentials (${code}); check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and their policy`
  if (/^(?:EPROTO|ERR_SSL|ERR_TLS|.*CERT|.*SIGNED)/.test(code))
    return `${place} cannot be reached with TLS (${code}); use http:// where it has none, or NODE_EXTRA_CA_CERTS`
  if (status >= 400 && status < 500 && !PASSING.includes(status)) return `${place} refuses requests (${code})`
  return status === 501 ? `${place} lacks an operation (${code})` : undefined
}

/** The bucket, for messages. */
export function placeOf({ bucket, endpoint }: BucketLocation): string {
  return `the bucket "${bucket}"${endpoint === undefined ? '' : ` at ${endpoint}`}`
}

function statusOf(error: unknown): number | undefined {
  return (error as Failure).$metadata?.httpStatusCode
}
