// A Redis that takes connections with TLS alone.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import { freePort } from '../../../src/launcher/ports.ts'
import { redisBinary } from '../../../src/launcher/redis-binary.ts'
import { waitFor } from '../wait-for.ts'
import type { CertificateFiles } from './authority.ts'

export interface TlsRedis {
  port: number
  stop: () => Promise<void>
}

export interface TlsRedisOptions extends CertificateFiles {
  /** The file of the authority of client certificates. */
  ca: string
  dir: string
  /** Whether clients need a certificate. */
  authClients: boolean
  /** Further arguments of redis-server. */
  args?: string[]
}

/** Resolves when the port is open. */
export async function startTlsRedis({
  cert,
  key,
  ca,
  dir,
  authClients,
  args = [],
}: TlsRedisOptions): Promise<TlsRedis> {
  const port = await freePort()
  const settings = {
    port: 0,
    'tls-port': port,
    'tls-cert-file': cert,
    'tls-key-file': key,
    'tls-ca-cert-file': ca,
    'tls-auth-clients': authClients ? 'yes' : 'no',
    bind: '127.0.0.1',
    dir,
    appendonly: 'yes',
    save: '',
  }
  const given = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)])
  const child = spawn(
    redisBinary(() => undefined),
    [...given, ...args],
    { stdio: 'ignore' },
  )
  const ended = once(child, 'exit')
  await waitFor('Redis with TLS', async () => {
    if (child.exitCode !== null) throw new Error(`redis-server ended with ${child.exitCode}`)
    const socket = connect(port, '127.0.0.1')
    await once(socket, 'connect')
    socket.destroy()
    return true
  })
  const stop = async () => {
    child.kill('SIGKILL')
    await ended
  }
  return { port, stop }
}
