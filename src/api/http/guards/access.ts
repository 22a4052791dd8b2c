// What a request without an API key must satisfy: a known Host, and no web page of another origin.
// With API_KEYS neither is checked: no page has the key, and a browser does not add it.
import type { Request, RequestHandler } from 'express'
import { hostGuard } from './hosts.ts'
import { type OriginRequest, originGuard } from './origins.ts'

export interface AccessConfig {
  publicUrl: string | undefined
  allowedHosts: string[]
  corsOrigins: string[]
}

export interface AccessGuards {
  /** @throws AppError 421 for an unknown host. */
  host: (request: Pick<Request, 'get'>) => void
  /** @throws AppError 403 for a web page of another origin. @param costs also a link to the route is rejected. */
  origin: (request: OriginRequest, costs?: boolean) => void
}

/** @param isOpen whether no API key is required. */
export function accessGuards(config: AccessConfig, isOpen: boolean): AccessGuards {
  if (!isOpen) return { host: () => undefined, origin: () => undefined }
  const own = config.publicUrl === undefined ? [] : [new URL(config.publicUrl)]
  // The header as it was received: a page can set X-Forwarded-Host, but not Host.
  const host = hostGuard([...config.allowedHosts, ...own.map(({ hostname }) => hostname)])
  return {
    host: (request) => host(request.get('host')),
    origin: originGuard([...config.corsOrigins, ...own.map(({ origin }) => origin)]),
  }
}

/** Middleware of the routes outside of the table. */
export function rejectUnknownHost({ host }: AccessGuards): RequestHandler {
  return (request, _response, next) => {
    host(request)
    next()
  }
}

/** Middleware of the dashboard: browsers add its login to requests of any page, so API_KEYS and CORS_ORIGINS except none. */
export function rejectForeignPages(publicUrl: string | undefined): RequestHandler {
  const origin = originGuard(publicUrl === undefined ? [] : [new URL(publicUrl).origin])
  return (request, _response, next) => {
    origin(request)
    next()
  }
}
