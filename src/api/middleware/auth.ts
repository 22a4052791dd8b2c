// API keys, and the dashboard's login.
import { timingSafeEqual } from 'node:crypto'
import type { RequestHandler } from 'express'
import { AppError } from '../../errors.ts'
import type { AdminLogin } from '../dashboard/login.ts'
import { type ApiKey, PUBLIC_OWNER, sha256 } from '../config.ts'

/**
 * Who asks, by the Authorization header. Without keys everybody is the same owner.
 * @throws AppError 401 when keys are configured and none, or a wrong one, was sent.
 */
export function ownerOfRequest(keys: ApiKey[], authorization: string | undefined): string {
  if (keys.length === 0) return PUBLIC_OWNER
  const digest = sha256(/^(?:Bearer|Token) (.+)$/i.exec(authorization ?? '')?.[1] ?? '')
  // Every key is compared, so that the time tells nothing.
  const matches = keys.filter((key) => timingSafeEqual(key.digest, digest))
  const [key] = matches
  if (!key) {
    throw new AppError('Unauthorized', 401, 'an API key is needed: Authorization: Bearer SECRET', {
      headers: { 'WWW-Authenticate': 'Bearer' },
    })
  }
  return key.owner
}

/** Lets only the administrator on, and only from this site: Basic credentials are sent by browsers on their own. */
export function requireAdmin(login: AdminLogin): RequestHandler {
  return async (request, _response, next) => {
    const origin = request.get('origin')
    if (origin !== undefined && origin !== `${request.protocol}://${request.host}`) {
      throw new AppError('Unauthorized', 403, 'requests from other sites are refused')
    }
    if (!(await login.accepts(request.get('authorization')))) {
      throw new AppError('Unauthorized', 401, 'the dashboard needs a login', {
        headers: { 'WWW-Authenticate': 'Basic realm="inferq dashboard", charset="UTF-8"' },
      })
    }
    next()
  }
}
