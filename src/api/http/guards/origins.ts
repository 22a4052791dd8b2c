// Requests of web pages of another origin.
// A browser adds Origin and Sec-Fetch-Site, and no page can change them; other clients send neither.
import type { Request } from 'express'
import * as z from 'zod'
import { list } from '../../../env.ts'
import { AppError } from '../../../errors.ts'

/** CORS_ORIGINS: origins such as https://app.example, or `*`. */
export const corsOrigins: z.ZodType<string[], string | undefined> = list.transform((origins, context) =>
  origins.map((origin) => {
    if (origin === '*' || /^[a-z][a-z0-9+.-]*:\/\/[^\s/?#@"',*]+$/i.test(origin)) return origin.toLowerCase()
    context.addIssue({
      code: 'custom',
      message: 'must be origins such as https://app.example or http://localhost:3000, or *',
    })
    return z.NEVER
  }),
)

/** The parts of a request that the check reads; `host` is that of a trusted proxy's header, if any. */
export type OriginRequest = Pick<Request, 'get' | 'host' | 'method' | 'protocol'>

/**
 * Returns the check of a request's origin.
 * @param allowed origins of CORS_ORIGINS and PUBLIC_URL.
 * The check throws AppError 403 for a request of another origin, except a link to a page; `costs` excepts no request.
 */
export function originGuard(allowed: string[]): (request: OriginRequest, costs?: boolean) => void {
  return (request, costs = false) => {
    if (!isForeign(request, allowed)) return
    const isLink = request.method === 'GET' && request.get('sec-fetch-mode') === 'navigate'
    if (isLink && request.get('sec-fetch-dest') === 'document' && !costs) return
    throw new AppError(
      'Unauthorized',
      403,
      'requests of web pages of another origin are rejected; CORS_ORIGINS lists the origins that may send them',
    )
  }
}

function isForeign(request: OriginRequest, allowed: string[]): boolean {
  const origin = request.get('origin')?.toLowerCase()
  if (allowed.includes('*')) return false
  if (origin !== undefined) return !isOwn(origin, request) && !allowed.includes(origin)
  // "same-site" is another port or subdomain: another program of this machine's.
  const site = request.get('sec-fetch-site')
  return site === 'cross-site' || site === 'same-site'
}

/** An https page of this host is its own also when the proxy that terminates TLS is not in TRUST_PROXY. */
function isOwn(origin: string, request: OriginRequest): boolean {
  const [, scheme, host] = /^(https?):\/\/(.+)$/.exec(origin) ?? []
  if (host === undefined || (scheme !== 'https' && scheme !== request.protocol)) return false
  return [request.get('host'), request.host].some((each) => withoutPort(each) === withoutPort(host))
}

/** A host without the default ports, which browsers leave out. */
function withoutPort(host: string | undefined): string | undefined {
  return host?.toLowerCase().replace(/:(?:80|443)$/, '')
}
