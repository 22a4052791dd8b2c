// Sends one request to a receiver.
import { once } from 'node:events'
import { request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import { isIP } from 'node:net'
import { VERSION } from '../package.ts'
import { guardedLookup, hostOf, isAllowedAddress, type Network, RefusedAddressError } from './addresses.ts'

export interface Receiver {
  url: string
  headers: Record<string, string>
  body: string
  /** Networks that WEBHOOK_ALLOW names. */
  allow: readonly Network[]
  /** Ends the request. */
  signal: AbortSignal
  /** Deadline of the request, milliseconds. */
  timeoutMs?: number
}

/** `status` of the answer, or why there is none. */
export type Sent = { status: number } | { error: string }

const TIMEOUT_MS = 10_000
/** Bytes of an answer that are read; a longer one is cut off. */
const MAX_ANSWER_BYTES = 65_536

/** Posts the body; follows no redirect. Never rejects, unless `signal` aborts. */
export async function send({ url, headers, body, allow, signal, timeoutMs = TIMEOUT_MS }: Receiver): Promise<Sent> {
  const deadline = AbortSignal.timeout(timeoutMs)
  try {
    return await post(new URL(url), headers, body, allow, AbortSignal.any([signal, deadline]))
  } catch (error) {
    signal.throwIfAborted()
    if (deadline.aborted) return { error: `no complete answer within ${timeoutMs / 1_000} s` }
    return { error: reasonOf(error) }
  }
}

async function post(
  url: URL,
  headers: Record<string, string>,
  body: string,
  allow: readonly Network[],
  signal: AbortSignal,
): Promise<Sent> {
  // Node does not look up a host that is an address.
  const host = hostOf(url)
  if (isIP(host) && !isAllowedAddress(host, allow)) throw new RefusedAddressError()
  const bytes = Buffer.from(body)
  const request = (url.protocol === 'https:' ? requestHttps : requestHttp)(url, {
    method: 'POST',
    agent: false,
    lookup: guardedLookup(allow),
    signal,
    headers: {
      'Content-Type': 'application/json',
      'Content-Length': bytes.length,
      'User-Agent': `inferq/${VERSION}`,
      ...headers,
    },
  })
  request.end(bytes)
  const [response] = await once(request, 'response')
  try {
    let received = 0
    for await (const chunk of response as AsyncIterable<Buffer>) {
      received += chunk.length
      if (received > MAX_ANSWER_BYTES) break
    }
    return { status: (response as { statusCode: number }).statusCode }
  } finally {
    request.destroy()
  }
}

/** Without the address, and without anything that the receiver sent. */
function reasonOf(error: unknown): string {
  if (error instanceof RefusedAddressError) return error.message
  const code = typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : undefined
  return code === undefined ? 'the request failed' : `the request failed: ${code}`
}
