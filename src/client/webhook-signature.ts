// Signatures of webhooks by Standard Webhooks (standardwebhooks.com), over Web Crypto.

/** Headers of a request: those of fetch, or an object such as `request.headers` of Node. */
export type WebhookHeaders = Headers | Record<string, string | string[] | undefined>

export interface VerifyOptions {
  /** The `key` of `webhooks.secret()`, which begins with `whsec_`; during a rotation the old and the new one. */
  secret: string | string[]
  /** Seconds that the timestamp may be before or after now; 300 by default. */
  tolerance?: number
  /** The present time, for tests. */
  now?: Date
}

/** A request that is no authentic webhook; the message states why. Answer it with 400. */
export class WebhookError extends Error {
  override name = 'WebhookError'
}

const DEFAULT_TOLERANCE_S = 300
/** Each costs an HMAC of the body; a sender that rotates its secret sends two. */
const MAX_SIGNATURES = 8
const VERSION = 'v1,'

/**
 * Checks that a request is a webhook of the server whose secret is given.
 * @param body as received: JSON that was parsed and written again may have another signature.
 * @returns the parsed body: a Prediction or a Batch. A repeat of a webhook has the same `webhook-id`.
 * @throws WebhookError when it is not authentic, or too old; TypeError for a secret that is none.
 */
export async function verifyWebhook<T = unknown>(
  body: string | Uint8Array,
  headers: WebhookHeaders,
  { secret, tolerance = DEFAULT_TOLERANCE_S, now = new Date() }: VerifyOptions,
): Promise<T> {
  const [id, timestamp, signature] = ['id', 'timestamp', 'signature'].map((name) => header(headers, `webhook-${name}`))
  if (!id || !timestamp || !signature) {
    throw new WebhookError('the headers webhook-id, webhook-timestamp and webhook-signature are required')
  }
  checkTime(timestamp, tolerance, now)
  const message = signedBytes(id, timestamp, body)
  const signatures = signaturesOf(signature)
  for (const each of [secret].flat()) {
    const key = await keyOf(each, 'verify')
    for (const bytes of signatures) {
      // Takes the same time for every wrong signature.
      if (await crypto.subtle.verify('HMAC', key, bytes, message)) return parsed(body) as T
    }
  }
  throw new WebhookError('no signature matches: is it the secret of this server, and the body as it was received?')
}

/** @returns the value of `webhook-signature`, for tests of a receiver. */
export async function signWebhook(id: string, at: Date, body: string | Uint8Array, secret: string): Promise<string> {
  const message = signedBytes(id, String(Math.floor(at.getTime() / 1_000)), body)
  const signature = await crypto.subtle.sign('HMAC', await keyOf(secret, 'sign'), message)
  return VERSION + btoa(String.fromCharCode(...new Uint8Array(signature)))
}

function header(headers: WebhookHeaders, name: string): string | undefined {
  if (headers instanceof Headers) return headers.get(name) ?? undefined
  const found = Object.entries(headers).find(([each]) => each.toLowerCase() === name)?.[1]
  return Array.isArray(found) ? found.join(' ') : found
}

function checkTime(timestamp: string, tolerance: number, now: Date): void {
  if (!/^\d{1,12}$/.test(timestamp)) throw new WebhookError('webhook-timestamp is not a Unix time in seconds')
  const age = now.getTime() / 1_000 - Number(timestamp)
  if (age > tolerance) throw new WebhookError(`webhook-timestamp is older than ${tolerance} s`)
  if (age < -tolerance) throw new WebhookError(`webhook-timestamp is more than ${tolerance} s ahead of this clock`)
}

function signedBytes(id: string, timestamp: string, body: string | Uint8Array): Uint8Array<ArrayBuffer> {
  const encoder = new TextEncoder()
  const head = encoder.encode(`${id}.${timestamp}.`)
  const content = typeof body === 'string' ? encoder.encode(body) : body
  const message = new Uint8Array(head.length + content.length)
  message.set(head)
  message.set(content, head.length)
  return message
}

/** The signatures of the known version; those of other versions are skipped. */
function signaturesOf(header: string): Uint8Array<ArrayBuffer>[] {
  return header
    .split(' ')
    .filter((each) => each.startsWith(VERSION))
    .slice(0, MAX_SIGNATURES)
    .flatMap((each) => bytesOf(each.slice(VERSION.length)) ?? [])
}

async function keyOf(secret: string, use: 'sign' | 'verify') {
  const bytes = bytesOf(secret.replace(/^whsec_/, ''))
  if (!bytes || bytes.length === 0) throw new TypeError('the secret is not base64 after "whsec_"')
  return crypto.subtle.importKey('raw', bytes, { name: 'HMAC', hash: 'SHA-256' }, false, [use])
}

/** @returns undefined for a text that is not base64. */
function bytesOf(base64: string): Uint8Array<ArrayBuffer> | undefined {
  try {
    return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0))
  } catch {
    return undefined
  }
}

function parsed(body: string | Uint8Array): unknown {
  try {
    return JSON.parse(typeof body === 'string' ? body : new TextDecoder().decode(body))
  } catch {
    throw new WebhookError('the body is not JSON')
  }
}
