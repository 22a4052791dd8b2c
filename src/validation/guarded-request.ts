// Requests to servers that a caller names.
import { type ClientRequest, type OutgoingHttpHeaders, request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import { isIP } from 'node:net'
import { VERSION } from '../package.ts'
import { type AddressPolicy, guardedLookup, hostOf, isAllowedAddress, RefusedAddressError } from './addresses.ts'

/**
 * Begins a request on a connection of its own; no redirect is followed.
 * @throws RefusedAddressError for a refused address; one that a name resolves to is an error of the request.
 */
export function guardedRequest(
  url: URL,
  policy: AddressPolicy,
  options: { method: 'GET' | 'POST'; headers: OutgoingHttpHeaders; signal: AbortSignal },
): ClientRequest {
  // Node does not look up a host that is an address.
  const host = hostOf(url)
  if (isIP(host) && !isAllowedAddress(host, policy.allow)) throw new RefusedAddressError(policy)
  return (url.protocol === 'https:' ? requestHttps : requestHttp)(url, {
    ...options,
    agent: false,
    lookup: guardedLookup(policy),
    headers: { 'User-Agent': `inferq/${VERSION}`, ...options.headers },
  })
}

/** Why a request failed, without the address, and without anything that the server sent. */
export function failureOf(error: unknown): string {
  if (error instanceof RefusedAddressError) return error.message
  const code = typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : undefined
  return code === undefined ? 'the request failed' : `the request failed: ${code}`
}
