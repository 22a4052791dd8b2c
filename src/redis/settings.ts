// The settings of every program that uses Redis.
import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import * as z from 'zod'
import { flag, optional, secret, setting, text } from '../env.ts'
import { DEFAULT_KEY_PREFIX } from './keys.ts'
import { hasSeveralPlaces, topologyOf } from './url.ts'

/** How Redis is reached: these members of the settings. */
export interface RedisAddress {
  redisUrl: string
  /** PEM of the authorities that may have signed Redis' certificate; undefined: those of Node. */
  redisTlsCa?: string | undefined
  /** PEM of the client certificate and of its key. */
  redisTlsCert?: string | undefined
  redisTlsKey?: string | undefined
}

const EXPECTED =
  'a URL such as redis://127.0.0.1:6379, redis://:PASSWORD@HOST:6379/0, rediss://HOST:6380, redis+sentinel://HOST:26379,HOST:26379/MASTER or redis+cluster://HOST:6379,HOST:6379'
const UNESCAPED = `must be ${EXPECTED}; in a password, write / as %2F, # as %23, ? as %3F, @ as %40 and % as %25`

/**
 * A Redis URL: protocol, credentials, host, port and database number. Anything else that follows the host is refused, because
 * it is a part of a password that is not percent-encoded. The messages never contain a part of the value.
 */
const redisUrl = z.string({ error: `must be set to ${EXPECTED}` }).transform((given, context) => {
  const problem = urlProblem(given)
  if (problem === undefined) return given
  context.addIssue({ code: 'custom', message: problem })
  return z.NEVER
})

function urlProblem(given: string): string | undefined {
  if (hasSeveralPlaces(given)) return topologyOf(given) === undefined ? UNESCAPED : undefined
  if (!/^rediss?:\/\//i.test(given)) return `must be ${EXPECTED}`
  if (!URL.canParse(given)) return UNESCAPED
  const { hostname, pathname, search, searchParams, hash, username, password } = new URL(given)
  if (
    ![username, password].every(isEncoded) ||
    /[@/]/.test(search) ||
    hash !== '' ||
    (given.match(/@/g)?.length ?? 0) > 1
  )
    return UNESCAPED
  if (!/^\/?\d*$/.test(pathname) || !/^\d*$/.test(searchParams.get('db') ?? ''))
    return `${UNESCAPED}; after the host stands nothing but the number of a database`
  return hostname === '' ? `must be ${EXPECTED}: it names no host` : undefined
}

function isEncoded(part: string): boolean {
  try {
    decodeURIComponent(part)
    return true
  } catch {
    return false
  }
}

/** Without `:`, so that no prefix is the beginning of another one's keys, and without the marks of patterns and hash tags. */
const keyPrefix = z.string().regex(/^[A-Za-z0-9._-]{1,64}$/, {
  error: 'must be 1 to 64 letters, digits, dots, underscores and dashes, such as inferq-staging',
})

/** The content of a PEM file. @param kind of its first block, a part of the line that begins it. */
function pemFile(kind: 'CERTIFICATE' | 'PRIVATE KEY'): z.ZodType<string | undefined, string | undefined> {
  return optional(
    text.transform((path, context) => {
      try {
        const content = readFileSync(path, 'utf8')
        if (!content.includes(`${kind}-----`)) throw new Error(`holds no ${kind}`)
        if (kind === 'CERTIFICATE') new X509Certificate(content)
        return content
      } catch (error) {
        const { code, message } = error as NodeJS.ErrnoException
        const expected = `must be a PEM file with a ${kind}, such as /run/secrets/redis.pem`
        context.addIssue({ code: 'custom', message: `${expected}: ${code ?? message}` })
        return z.NEVER
      }
    }),
  )
}

export const redisSettings = {
  redisUrl: secret('REDIS_URL', undefined, redisUrl, 'URL of the Redis that all processes share'),
  keyPrefix: setting(
    'KEY_PREFIX',
    DEFAULT_KEY_PREFIX,
    keyPrefix,
    'begin of all keys in Redis; deployments that share a Redis have different ones',
  ),
  redisTlsCa: setting(
    'REDIS_TLS_CA',
    undefined,
    pemFile('CERTIFICATE'),
    "PEM file of the authority of Redis' certificate, for rediss://; unset: the authorities that Node knows",
  ),
  redisTlsCert: setting('REDIS_TLS_CERT', undefined, pemFile('CERTIFICATE'), 'PEM file of a client certificate'),
  redisTlsKey: setting('REDIS_TLS_KEY', undefined, pemFile('PRIVATE KEY'), 'PEM file of its key'),
  requireDurable: setting('REQUIRE_DURABLE', 'off', flag, 'refuse to work on a Redis that may lose jobs'),
}
