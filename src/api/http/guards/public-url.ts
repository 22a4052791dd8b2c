// PUBLIC_URL: the address under which clients reach the api through a proxy, also with a path.
import type { Request, RequestHandler } from 'express'
import * as z from 'zod'
import { optional, text } from '../../../env.ts'
import { isHost } from './hosts.ts'

const EXPECTED = 'must be a URL such as https://api.example.com or https://example.com/inferq, without a query'

/** Without a trailing slash. */
export const publicUrl: z.ZodType<string | undefined, string | undefined> = optional(
  text.transform((given, context) => {
    const url = URL.canParse(given) ? new URL(given) : undefined
    const isPlain = url && !url.search && !url.hash && !url.username && !url.password
    if (isPlain && /^https?:$/.test(url.protocol) && /^[\w./~-]*$/.test(url.pathname)) {
      return `${url.origin}${url.pathname.replace(/\/+$/, '')}`
    }
    context.addIssue({ code: 'custom', message: EXPECTED })
    return z.NEVER
  }),
)

/** The path of PUBLIC_URL; empty without one. */
export function basePathOf(url: string | undefined): string {
  return url === undefined ? '' : new URL(url).pathname.replace(/\/$/, '')
}

/** Removes the base path from a request's URL; a proxy may have removed it already. Redirects keep it: `originalUrl`. */
export function stripBasePath(basePath: string): RequestHandler {
  return (request, _response, next) => {
    if (basePath === '') return next()
    const rest = request.url.slice(basePath.length)
    if (request.url.startsWith(basePath) && /^(?:[/?]|$)/.test(rest)) {
      request.url = rest.startsWith('/') ? rest : `/${rest}`
    }
    request.originalUrl = basePath + request.url
    next()
  }
}

/** PUBLIC_URL, or the address of the request, without a trailing slash. @param port of this process. */
export function baseUrlOf(request: Request, configured: string | undefined, port: number): string {
  if (configured !== undefined) return configured
  const host = [request.host, request.get('host')].find((each) => each !== undefined && isHost(each))
  return `${request.protocol}://${host ?? `localhost:${port}`}`
}
