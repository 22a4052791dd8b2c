// Login of the dashboard.
// The password is a setting, or is generated once for all apis and stored as a hash in Redis.
import { type BinaryLike, randomBytes, scrypt, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import type { RequestHandler } from 'express'
import type { Redis } from 'ioredis'
import { AppError } from '../../errors.ts'
import type { Logger } from '../../logger.ts'
import { recordKey } from '../../redis/keys.ts'
import { NEW_PASSWORD } from '../http/guards/secrets.ts'
import { sha256 } from '../http/keys/api-key.ts'
import { type LoginOutcome, LoginThrottle } from './login-throttle.ts'

const KEY_BYTES = 32
const scryptAsync = promisify<BinaryLike, BinaryLike, number, Buffer>(scrypt)
const adminKey = recordKey('admin')

export interface AdminLoginOptions {
  redis: Redis
  user: string
  /** undefined: the stored hash of a generated password; NEW_PASSWORD: a new one is generated at the start. */
  password: string | undefined
  logger: Logger
  onOutcome?: (outcome: LoginOutcome) => void
}

/** The caller of a login. */
export interface LoginAttempt {
  address: string
  /** Aborts when the client disconnects. */
  disconnected: AbortSignal
}

export class AdminLogin {
  readonly #redis: Redis
  readonly #user: string
  /** undefined: the hash in Redis. */
  readonly #password: string | undefined
  readonly #isReplaced: boolean
  readonly #logger: Logger
  readonly #throttle: LoginThrottle
  /** SHA-256 of the last accepted credentials with the hash that accepted them, so that scrypt runs once for a login. */
  #accepted: { digest: Buffer; stored: string } | undefined

  constructor({ redis, user, password, logger, onOutcome }: AdminLoginOptions) {
    this.#redis = redis
    this.#user = user
    this.#isReplaced = password === NEW_PASSWORD
    this.#password = this.#isReplaced ? undefined : password
    this.#logger = logger
    this.#throttle = new LoginThrottle({
      ...(onOutcome ? { onOutcome } : {}),
      onWrong: (address, failures) => logger.warn({ address, failures }, 'wrong login for the dashboard'),
    })
  }

  /** Generates and logs the password unless it is set, or an api has generated it and no new one is wanted. */
  async prepare(): Promise<void> {
    if (this.#password !== undefined) return
    const password = randomBytes(12).toString('base64url')
    const hash = await hashPassword(password)
    const created = this.#isReplaced
      ? await this.#redis.set(adminKey, hash)
      : await this.#redis.set(adminKey, hash, 'NX')
    // The child logger has its own level, so that LOG_LEVEL cannot suppress the only line with the password.
    const log = this.#logger.child({}, { level: 'warn' })
    if (created)
      log.warn({ user: this.#user, password }, 'generated the password of the dashboard; it is logged only once')
  }

  /**
   * Whether the credentials are correct. @param header the Authorization header; Basic credentials.
   * @throws AppError 429 when too many logins were wrong, or too many wait.
   */
  async accepts(header: string | undefined, { address, disconnected }: LoginAttempt): Promise<boolean> {
    const encoded = /^Basic ([A-Za-z0-9+/=]+)$/.exec(header ?? '')?.[1]
    if (encoded === undefined) return false
    const credentials = Buffer.from(encoded, 'base64').toString()
    const colon = credentials.indexOf(':')
    if (colon === -1) return false
    const digest = sha256(encoded)
    const stored = this.#password === undefined ? ((await this.#redis.get(adminKey)) ?? '') : ''
    if (this.#accepted?.stored === stored && timingSafeEqual(digest, this.#accepted.digest)) return true
    return this.#throttle.check(address, disconnected, async () => {
      const rightUser = timingSafeEqual(sha256(credentials.slice(0, colon)), sha256(this.#user))
      const rightPassword = await this.#isPassword(credentials.slice(colon + 1), stored)
      if (!rightUser || !rightPassword) return false
      this.#accepted = { digest, stored }
      return true
    })
  }

  async #isPassword(given: string, stored: string): Promise<boolean> {
    if (this.#password !== undefined) return timingSafeEqual(sha256(given), sha256(this.#password))
    const [salt, expected] = stored.split(':').map((part) => Buffer.from(part, 'base64'))
    if (!salt || !expected || expected.length !== KEY_BYTES) return false
    return timingSafeEqual(await scryptAsync(given, salt, KEY_BYTES), expected)
  }
}

async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(16)
  return `${salt.toString('base64')}:${(await scryptAsync(password, salt, KEY_BYTES)).toString('base64')}`
}

/** Rejects requests without the login. The handler throws AppError 401, or 429 after too many wrong logins. */
export function requireAdmin(login: AdminLogin): RequestHandler {
  return async (request, response, next) => {
    const disconnected = new AbortController()
    response.on('close', () => disconnected.abort())
    const attempt = { address: request.ip ?? '', disconnected: disconnected.signal }
    if (!(await login.accepts(request.get('authorization'), attempt))) {
      throw new AppError('Unauthorized', 401, 'the dashboard requires a login', {
        headers: { 'WWW-Authenticate': 'Basic realm="inferq dashboard", charset="UTF-8"' },
      })
    }
    next()
  }
}
