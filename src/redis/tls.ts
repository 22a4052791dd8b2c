// TLS of connections to Redis: their options, and what is wrong with a certificate.
import { createSecureContext, type SecureContextOptions, connect as tlsConnect } from 'node:tls'
import type { RedisAddress } from './settings.ts'

/** The options for ioredis; undefined for a URL without TLS. */
export function tlsOptions({ redisUrl, redisTlsCa, redisTlsCert, redisTlsKey }: RedisAddress): object | undefined {
  if (!/^rediss[:+]/i.test(redisUrl)) return undefined
  return withoutUndefined({ ca: redisTlsCa, cert: redisTlsCert, key: redisTlsKey })
}

/** What is wrong with the settings taken together, as a line for the operator; undefined when nothing is. */
export function tlsSettingsProblem(address: RedisAddress): string | undefined {
  const { redisTlsCa, redisTlsCert, redisTlsKey } = address
  if ((redisTlsCert === undefined) !== (redisTlsKey === undefined)) {
    return 'REDIS_TLS_CERT and REDIS_TLS_KEY: a client certificate needs both'
  }
  const options = tlsOptions(address)
  if (options === undefined) {
    const isUnused = redisTlsCa === undefined && redisTlsCert === undefined
    return isUnused ? undefined : 'REDIS_URL: it begins with redis://, so REDIS_TLS_… have no effect; use rediss://'
  }
  try {
    createSecureContext(options)
    return undefined
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException
    if (code === 'ERR_OSSL_X509_KEY_VALUES_MISMATCH')
      return 'REDIS_TLS_KEY: it is not the key of the certificate in REDIS_TLS_CERT'
    return `REDIS_TLS_KEY: it is damaged, or has a passphrase (${code})`
  }
}

/** Why a connection with TLS failed, and the remedy; undefined for other errors. @param code of the error. */
export function tlsErrorReason(code: string): string | undefined {
  if (/ALERT_(?:CERTIFICATE_REQUIRED|HANDSHAKE_FAILURE)/.test(code))
    return `asks for a client certificate (${code}); set REDIS_TLS_CERT and REDIS_TLS_KEY`
  if (/ALERT_/.test(code)) return `does not accept the client certificate of REDIS_TLS_CERT (${code})`
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID')
    return `has a certificate for other hosts (${code}); use a name that is in it`
  if (/CERT_(?:HAS_EXPIRED|NOT_YET_VALID)/.test(code)) return `has a certificate that is not valid now (${code})`
  if (/CERT|SIGNED|LEAF_SIGNATURE|SIGNATURE_FAILURE/.test(code))
    return `has a certificate of an unknown authority (${code}); set REDIS_TLS_CA to the file of that authority`
  if (/^(EPROTO|ERR_SSL|ERR_TLS)/.test(code))
    return `cannot be reached with TLS (${code}); use redis:// where it has none`
  return undefined
}

const ALERT_MS = 1_000

/**
 * The code of the alert with which a server ends a connection after its handshake; undefined without one. The server
 * resets a connection on which a command was sent before its alert, and the alert is lost; here nothing is sent.
 */
export function alertOf(host: string, port: number, options: object): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = tlsConnect({ ...options, host, port })
    const finish = (error?: NodeJS.ErrnoException) => {
      resolve(error?.code)
      socket.destroy()
    }
    socket.on('error', finish)
    socket.once('close', () => finish())
    socket.setTimeout(ALERT_MS, () => finish())
    socket.resume()
  })
}

function withoutUndefined(options: SecureContextOptions): object {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))
}
