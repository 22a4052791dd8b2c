// A TCP proxy to Redis that holds a command back: a process killed at that moment has carried out all commands before it.
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

export interface CuttingProxy {
  port: number
  /** Counts the commands with that text from now on, and holds number `hold` back, from 1. */
  arm: (text: string, hold: number, onHold: () => void) => void
  stop: () => Promise<void>
}

/** Nothing passes any more, in any connection, after a command was held back. */
export async function cuttingProxy(targetUrl: string): Promise<CuttingProxy> {
  const target = new URL(targetUrl)
  const sockets = new Set<Socket>()
  let armed: { text: string; hold: number; onHold: () => void } | undefined
  let passed = 0
  let isCut = false
  const mayPass = (command: Buffer): boolean => {
    if (armed === undefined || !command.includes(armed.text)) return true
    if (passed + 1 === armed.hold) {
      isCut = true
      armed.onHold()
      return false
    }
    passed += 1
    return true
  }
  const server = createServer((near) => {
    const far = connect(Number(target.port), target.hostname)
    let rest: Buffer = Buffer.alloc(0)
    near.on('data', (data: Buffer) => {
      rest = Buffer.concat([rest, data])
      for (let end = commandEnd(rest); end > 0 && !isCut; end = commandEnd(rest)) {
        if (mayPass(rest.subarray(0, end))) far.write(rest.subarray(0, end))
        rest = rest.subarray(end)
      }
    })
    far.on('data', (data: Buffer) => isCut || near.write(data))
    for (const socket of [near, far]) {
      sockets.add(socket)
      socket.on('error', () => undefined)
      socket.on('close', () => {
        near.destroy()
        far.destroy()
        sockets.delete(socket)
      })
    }
  })
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    arm: (text, hold, onHold) => {
      armed = { text, hold, onHold }
      passed = 0
    },
    stop: async () => {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** The length of the first command, an array of bulk strings of the Redis protocol; 0 when it is incomplete. */
function commandEnd(data: Buffer): number {
  const lineEnd = (from: number) => data.indexOf('\r\n', from)
  const first = lineEnd(0)
  if (first < 0) return 0
  let at = first + 2
  for (let left = Number(data.toString('latin1', 1, first)); left > 0; left -= 1) {
    const end = lineEnd(at)
    if (end < 0) return 0
    at = end + 2 + Number(data.toString('latin1', at + 1, end)) + 2
    if (at > data.length) return 0
  }
  return at
}
