// The private Redis: durable data, one owner per folder, and recovery after a crash.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { freePort } from '../../src/launcher/ports.ts'
import { redisBinary } from '../../src/launcher/redis-binary.ts'
import { RedisServer } from '../../src/launcher/redis-server.ts'
import { waitFor } from '../helpers/wait-for.ts'

let dir: string
let said: string[]
const servers: RedisServer[] = []

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'inferq-test-'))
  said = []
})

afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.stop()))
  rmSync(dir, { recursive: true, force: true })
})

function server(binary = redisBinary(console.log)): RedisServer {
  const made = new RedisServer({ binary, dir, print: (line) => said.push(line) })
  servers.push(made)
  return made
}

async function asking<T>(url: string, question: (redis: Redis) => Promise<T>): Promise<T> {
  const redis = new Redis(url)
  redis.on('error', () => undefined)
  try {
    return await question(redis)
  } finally {
    redis.disconnect()
  }
}

test('keeps its data over a restart; stop may be called before start, and twice', async () => {
  const first = server()
  await first.stop()
  await asking(await first.start(), (redis) => redis.set('kept', 'yes'))
  await Promise.all([first.stop(), first.stop()])
  expect(await asking(await server().start(), (redis) => redis.get('kept'))).toBe('yes')
})

test('is durable and never evicts', async () => {
  const url = await server().start()
  const settings = await asking(url, async (redis) => [
    await redis.config('GET', 'appendonly'),
    await redis.config('GET', 'maxmemory-policy'),
  ])
  expect(settings).toEqual([
    ['appendonly', 'yes'],
    ['maxmemory-policy', 'noeviction'],
  ])
})

test('a second owner of the folder is refused', async () => {
  await server().start()
  await expect(server().start()).rejects.toThrow(/is already running in this folder/)
})

test('an orphaned server is stopped first, and its data is kept', async () => {
  const port = await freePort()
  const arguments_ = ['--port', `${port}`, '--bind', '127.0.0.1', '--dir', dir, '--appendonly', 'yes']
  const leftover = spawn(redisBinary(console.log), arguments_, { stdio: 'ignore' })
  await asking(`redis://127.0.0.1:${port}`, (redis) => redis.set('kept', 'yes'))
  writeFileSync(join(dir, 'owner.json'), JSON.stringify({ owner: await endedProcess(), redis: leftover.pid, port }))

  const url = await server().start()
  expect(leftover.exitCode).toBe(0)
  expect(said).toEqual([expect.stringMatching(/an earlier start ended without stopping its Redis/)])
  expect(await asking(url, (redis) => redis.get('kept'))).toBe('yes')
})

test('a reused process id is not taken for Redis', async () => {
  writeFileSync(join(dir, 'owner.json'), JSON.stringify({ owner: process.pid, redis: process.pid, port: 1 }))
  expect(await server().start()).toMatch(/^redis:/)
})

test('restarts on its port after a kill', async () => {
  const one = server()
  const url = await one.start()
  const killed = one.pid ?? 0
  process.kill(killed, 'SIGKILL')
  await waitFor(
    'another Redis',
    async () => one.pid !== killed && (await asking(url, (redis) => redis.ping())) === 'PONG',
  )
  expect(said[0]).toMatch(/ended unexpectedly \(SIGKILL\); restarting it in 1 s/)
})

test('reports why it cannot start', async () => {
  await expect(server('/nonexistent/redis-server').start()).rejects.toThrow(/did not start: spawn .* ENOENT/)
  await expect(server('/bin/false').start()).rejects.toThrow(/did not start: its log is empty/)
})

async function endedProcess(): Promise<number> {
  const child = spawn(process.execPath, ['-e', ''])
  await once(child, 'exit')
  return child.pid ?? 0
}
