// The health check of the containers, bin/health.sh.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { resolve } from 'node:path'
import { expect, test } from 'vitest'
import { freePort } from '../../src/launcher/ports.ts'

async function exitCode(port: number): Promise<number | null> {
  const child = spawn('bash', [resolve('bin/health.sh'), `${port}`], { stdio: 'ignore' })
  const [code] = (await once(child, 'exit')) as [number | null]
  return code
}

test.each([
  [200, 0],
  [204, 1],
  [503, 1],
])('ends, when /readyz answers %i, with %i', async (status, expected) => {
  const asked: (string | undefined)[] = []
  const server = createServer((request, response) => {
    asked.push(request.url, request.headers.host)
    response.writeHead(status).end('{}')
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  try {
    expect(await exitCode((server.address() as AddressInfo).port)).toBe(expected)
    expect(asked).toEqual(['/readyz', 'localhost'])
  } finally {
    server.close()
  }
})

test('fails when nothing listens, and when a server does not answer', async () => {
  expect(await exitCode(await freePort())).toBe(1)
  const server = createServer(() => undefined).listen(0, '127.0.0.1')
  await once(server, 'listening')
  try {
    expect(await exitCode((server.address() as AddressInfo).port)).toBe(1)
  } finally {
    server.closeAllConnections()
    server.close()
  }
})
