// Sends one request to a receiver.
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { retryAfterMs } from '../async.ts'
import type { AddressPolicy } from '../validation/addresses.ts'
import { failureOf, guardedRequest } from '../validation/guarded-request.ts'

export interface Receiver {
  url: string
  headers: Record<string, string>
  body: string
  policy: AddressPolicy
  /** Ends the request. */
  signal: AbortSignal
  /** Deadline of the request, milliseconds. */
  timeoutMs?: number
}

/** `status` of the answer, with the pause in milliseconds that a 429 or 503 asks for; or why there is none. */
export type Sent = { status: number; retryAfter?: number } | { error: string }

const TIMEOUT_MS = 10_000
/** Bytes of an answer that are read; a longer one is cut off. */
const MAX_ANSWER_BYTES = 65_536

/** Posts the body; follows no redirect. Never rejects, unless `signal` aborts. */
export async function send({ url, headers, body, policy, signal, timeoutMs = TIMEOUT_MS }: Receiver): Promise<Sent> {
  const deadline = AbortSignal.timeout(timeoutMs)
  try {
    return await post(new URL(url), headers, body, policy, AbortSignal.any([signal, deadline]))
  } catch (error) {
    signal.throwIfAborted()
    if (deadline.aborted) return { error: `no complete answer within ${timeoutMs / 1_000} s` }
    return { error: failureOf(error) }
  }
}

async function post(
  url: URL,
  headers: Record<string, string>,
  body: string,
  policy: AddressPolicy,
  signal: AbortSignal,
): Promise<Sent> {
  const bytes = Buffer.from(body)
  const request = guardedRequest(url, policy, {
    method: 'POST',
    signal,
    headers: { 'Content-Type': 'application/json', 'Content-Length': bytes.length, ...headers },
  })
  request.end(bytes)
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  try {
    let received = 0
    for await (const chunk of response as AsyncIterable<Buffer>) {
      received += chunk.length
      if (received > MAX_ANSWER_BYTES) break
    }
    const { statusCode: status = 0, headers: answered } = response
    const retryAfter = status === 429 || status === 503 ? retryAfterMs(answered['retry-after']) : undefined
    return { status, ...(retryAfter === undefined ? {} : { retryAfter }) }
  } finally {
    request.destroy()
  }
}
