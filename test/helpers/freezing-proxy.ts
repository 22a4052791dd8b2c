// A TCP proxy whose connections can be frozen: their sockets stay open and no byte passes, like in a network that lost
// their state.
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

export interface FreezingProxy {
  port: number
  /** Freezes the connections that are open now and have sent the text; those opened later work. */
  freeze: (text: string) => number
  stop: () => Promise<void>
}

interface Pair {
  near: Socket
  far: Socket
  sent: string
}

export async function freezingProxy(targetUrl: string): Promise<FreezingProxy> {
  const target = new URL(targetUrl)
  const pairs = new Set<Pair>()
  const server = createServer((near) => {
    const far = connect(Number(target.port), target.hostname)
    const pair = { near, far, sent: '' }
    pairs.add(pair)
    near.on('data', (data) => (pair.sent = (pair.sent + data.toString('latin1')).slice(-100_000)))
    for (const socket of [near, far]) {
      socket.on('error', () => undefined)
      socket.on('close', () => {
        near.destroy()
        far.destroy()
        pairs.delete(pair)
      })
    }
    near.pipe(far)
    far.pipe(near)
  })
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    freeze: (text) => {
      const frozen = [...pairs].filter(({ sent }) => sent.includes(text))
      for (const { near, far } of frozen) {
        near.unpipe(far).resume()
        far.unpipe(near).resume()
      }
      return frozen.length
    },
    stop: async () => {
      for (const { near } of pairs) near.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
