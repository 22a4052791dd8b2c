// Security headers: the full set for what a browser may show, and `nosniff` for JSON.
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { RequestHandler } from 'express'
import helmet from 'helmet'

/** The dashboard's page links a font service; the policy keeps browsers from contacting it. */
const sameOriginOnly = { styleSrc: ["'self'", "'unsafe-inline'"], fontSrc: ["'self'", 'data:'] }

const setAll = helmet({
  // Pages are served over plain HTTP inside a network, so browsers must not be redirected to HTTPS.
  contentSecurityPolicy: { directives: { upgradeInsecureRequests: null, ...sameOriginOnly } },
  strictTransportSecurity: false,
})

/** Sets the full set on every response of the routes after it. */
export const pageHeaders: RequestHandler = (request, response, next) => setAll(request, response, next)

/** Sets the headers of one response by its content type. */
export function setSecurityHeaders(
  request: IncomingMessage,
  response: ServerResponse,
  contentType: string | undefined,
): void {
  if (contentType === undefined || /[/+]json\b/.test(contentType))
    response.setHeader('X-Content-Type-Options', 'nosniff')
  else setAll(request, response, () => undefined)
}
