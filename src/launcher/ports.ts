// Ports of this machine: which is free, which is taken.
import { createServer } from 'node:net'

/** A port of 127.0.0.1 that nothing listens on at this moment. */
export function freePort(): Promise<number> {
  return bind(0, '127.0.0.1')
}

/** Whether this process could listen there now. Throws what is neither yes nor taken, a bad host for one. */
export async function isFree(port: number, host: string): Promise<boolean> {
  try {
    await bind(port, host)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') return false
    throw error
  }
}

function bind(port: number, host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen({ port, host, exclusive: true }, () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address ? address.port : port))
    })
  })
}
