// A TCP proxy that injects the faults of a network between a process and its server.
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

/**
 * `pass` forwards, `latency` forwards later, `cut` closes connections and accepts none, `silence` keeps connections open and
 * forwards nothing, now and later, so that a connection looks alive to both ends.
 */
export type ProxyMode = 'pass' | 'latency' | 'cut' | 'silence'

export interface TcpProxy {
  port: number
  /** The target's URL with the proxy's port. */
  url: string
  /** Applies to open and to new connections. @param latencyMs of each direction, for `latency`. */
  set: (mode: ProxyMode, latencyMs?: number) => void
  /**
   * Freezes the connections that are open now and have sent the text: they stay open without a byte, as half-open ones in a
   * network that lost their state; those opened later work. @returns their number.
   */
  freeze: (text?: string) => number
  /** From now on, a connection that sends the text, or has sent it, gets no byte from the server any more. */
  mute: (text: string) => void
  stop: () => Promise<void>
}

interface Pair {
  near: Socket
  far: Socket
  sent: string
  frozen: boolean
}

/** The beginning of what a connection sends names its purpose, and so does its latest command. */
const KEPT_CHARS = 100_000

export async function tcpProxy(targetUrl: string): Promise<TcpProxy> {
  const target = new URL(targetUrl)
  const pairs = new Set<Pair>()
  let mode: ProxyMode = 'pass'
  let latency = 0
  let muted: string | undefined
  const forward = (pair: Pair, to: Socket, data: Buffer) => {
    const send = () => {
      if (mode === 'silence' || pair.frozen || to.destroyed) return
      if (to === pair.near && muted !== undefined && pair.sent.includes(muted)) return
      to.write(data)
    }
    if (mode === 'latency') setTimeout(send, latency)
    else send()
  }
  const server = createServer((near) => {
    if (mode === 'cut') return near.destroy()
    const far = connect(Number(target.port), target.hostname)
    const pair: Pair = { near, far, sent: '', frozen: false }
    pairs.add(pair)
    near.on('data', (data) => {
      pair.sent = (pair.sent + data.toString('latin1')).slice(-KEPT_CHARS)
      forward(pair, far, data)
    })
    far.on('data', (data) => forward(pair, near, data))
    for (const socket of [near, far]) {
      socket.on('error', () => undefined)
      socket.on('close', () => {
        near.destroy()
        far.destroy()
        pairs.delete(pair)
      })
    }
  })
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const closeAll = () => {
    for (const { near } of pairs) near.destroy()
  }
  return {
    port,
    url: `${target.protocol}//127.0.0.1:${port}`,
    set: (next, latencyMs = 0) => {
      // What was not forwarded is missing in a connection, so one that was silent cannot go on.
      if (mode === 'silence' || next === 'cut') closeAll()
      mode = next
      latency = latencyMs
    },
    freeze: (text = '') => {
      const frozen = [...pairs].filter(({ sent }) => sent.includes(text))
      for (const pair of frozen) pair.frozen = true
      return frozen.length
    },
    mute: (text) => void (muted = text),
    stop: async () => {
      closeAll()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
