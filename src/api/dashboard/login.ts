// Login of the dashboard.
// The password is a setting, or is generated once for all apis and stored as a hash in Redis.
import { type BinaryLike, randomBytes, scrypt, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import type { RequestHandler } from 'express'
import type { Redis } from 'ioredis'
import { AppError } from '../../errors.ts'
import type { Logger } from '../../logger.ts'
import { recordKey } from '../../redis/keys.ts'
import { sha256 } from '../http/api-keys.ts'

const KEY_BYTES = 32
const scryptAsync = promisify<BinaryLike, BinaryLike, number, Buffer>(scrypt)
const adminKey = recordKey('admin')

export class AdminLogin {
  readonly #redis: Redis
  readonly #user: string
  readonly #password: string | undefined
  readonly #logger: Logger
  /** SHA-256 of the last accepted credentials, so that scrypt does not run for every request. */
  #accepted: Buffer | undefined

  constructor(redis: Redis, user: string, password: string | undefined, logger: Logger) {
    this.#redis = redis
    this.#user = user
    this.#password = password
    this.#logger = logger
  }

  /** Generates and logs the password unless it is set or an api has already generated it. */
  async prepare(): Promise<void> {
    if (this.#password !== undefined) return
    const password = randomBytes(12).toString('base64url')
    const created = await this.#redis.set(adminKey, await hashPassword(password), 'NX')
    // The child logger has its own level, so that LOG_LEVEL cannot suppress the only line with the password.
    const log = this.#logger.child({}, { level: 'warn' })
    if (created)
      log.warn({ user: this.#user, password }, 'generated the password of the dashboard; it is logged only once')
  }

  /** Whether the credentials are correct. @param header the Authorization header; Basic credentials. */
  async accepts(header: string | undefined): Promise<boolean> {
    const encoded = /^Basic ([A-Za-z0-9+/=]+)$/.exec(header ?? '')?.[1]
    if (encoded === undefined) return false
    const digest = sha256(encoded)
    if (this.#accepted && timingSafeEqual(digest, this.#accepted)) return true
    const credentials = Buffer.from(encoded, 'base64').toString()
    const colon = credentials.indexOf(':')
    const rightUser = timingSafeEqual(sha256(credentials.slice(0, colon)), sha256(this.#user))
    const rightPassword = await this.#isPassword(credentials.slice(colon + 1))
    if (!rightUser || !rightPassword) return false
    this.#accepted = digest
    return true
  }

  async #isPassword(given: string): Promise<boolean> {
    if (this.#password !== undefined) return timingSafeEqual(sha256(given), sha256(this.#password))
    const stored = await this.#redis.get(adminKey)
    const [salt, expected] = (stored ?? '').split(':').map((part) => Buffer.from(part, 'base64'))
    if (!salt || !expected || expected.length !== KEY_BYTES) return false
    return timingSafeEqual(await scryptAsync(given, salt, KEY_BYTES), expected)
  }
}

async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(16)
  return `${salt.toString('base64')}:${(await scryptAsync(password, salt, KEY_BYTES)).toString('base64')}`
}

/**
 * Rejects requests without the login, and cross-origin requests: browsers send stored Basic credentials with those too.
 * The handler throws AppError 401 or 403.
 */
export function requireAdmin(login: AdminLogin): RequestHandler {
  return async (request, _response, next) => {
    const origin = request.get('origin')
    if (origin !== undefined && origin !== `${request.protocol}://${request.host}`) {
      throw new AppError('Unauthorized', 403, 'cross-origin requests are rejected')
    }
    if (!(await login.accepts(request.get('authorization')))) {
      throw new AppError('Unauthorized', 401, 'the dashboard requires a login', {
        headers: { 'WWW-Authenticate': 'Basic realm="inferq dashboard", charset="UTF-8"' },
      })
    }
    next()
  }
}
