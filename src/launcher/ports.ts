// Finds free ports and checks whether a port is taken.
import { createServer } from 'node:net'

/** Returns a port of 127.0.0.1 that is free at this moment. */
export function freePort(): Promise<number> {
  return bind(0, '127.0.0.1')
}

/** Whether this process could listen there now. @throws any error other than a taken port, such as an invalid host. */
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
