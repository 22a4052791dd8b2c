// An api or worker that cannot start says why in one message, and ends with its exit code.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { Redis } from 'ioredis'
import { afterEach, expect, it } from 'vitest'
import { freePort } from '../../src/launcher/ports.ts'
import { redisBinary } from '../../src/launcher/redis-binary.ts'
import { EXIT_CONFIG } from '../../src/lifecycle.ts'
import { ownRedis } from '../helpers/redis.ts'
import { type StartedProcess, startProcess } from '../helpers/start-process.ts'
import { waitFor } from '../helpers/wait-for.ts'
import { TINY_MODELS } from '../helpers/worker.ts'

const stops: Array<() => Promise<unknown>> = []
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop()
})

async function start(program: 'api' | 'worker', env: Record<string, string>): Promise<StartedProcess> {
  const started = await startProcess(resolve(`dist/${program}/main.js`), {
    env: { MODELS_DIR: TINY_MODELS, MODELS: 'tiny-fp32', INFERENCE_PROCESSES: '1', MONITOR_PORT: '0', ...env },
  })
  stops.push(() => started.stop())
  return started
}
const messages = ({ lines }: StartedProcess) => lines.filter((line) => !line.startsWith('{'))

it('an api whose port is taken ends', async () => {
  const redis = await ownRedis()
  stops.push(redis.stop)
  const other = createServer().listen(0, '127.0.0.1')
  await once(other, 'listening')
  stops.push(async () => void other.close())
  const { port } = other.address() as { port: number }
  const api = await start('api', { REDIS_URL: redis.url, PORT: String(port) })
  expect(await api.ended).toBe(1)
  expect(messages(api).join('\n')).toContain(`${port}`)
})

it('an api that needs a durable Redis ends on another one', async () => {
  const redis = await ownRedis()
  stops.push(redis.stop)
  const commands = new Redis(redis.url)
  await commands.config('SET', 'appendonly', 'no')
  await waitFor('the setting', async () => (await commands.info('persistence')).includes('aof_enabled:0'))
  commands.disconnect()
  const api = await start('api', { REDIS_URL: redis.url, PORT: '0', REQUIRE_DURABLE: 'on' })
  expect(await api.ended).toBe(1)
  expect(messages(api).join('\n')).toContain('the append-only file is off')
})

it.each(['api', 'worker'] as const)(
  'the %s ends on a node of a cluster without the URL of a cluster',
  async (program) => {
    const dir = mkdtempSync(join(tmpdir(), 'inferq-cluster-'))
    const port = String(await freePort())
    const options = ['--port', port, '--bind', '127.0.0.1', '--dir', dir, '--cluster-enabled', 'yes', '--save', '']
    const server = spawn(
      redisBinary(() => undefined),
      options,
      { stdio: 'ignore' },
    )
    stops.push(async () => {
      server.kill()
      await once(server, 'exit')
      rmSync(dir, { recursive: true })
    })
    const commands = new Redis(Number(port), '127.0.0.1')
    commands.on('error', () => undefined)
    await waitFor('Redis', async () => (await commands.info('cluster')).includes('cluster_enabled:1'))
    commands.disconnect()
    const started = await start(program, { REDIS_URL: `redis://127.0.0.1:${port}`, PORT: '0' })
    expect(await started.ended).toBe(EXIT_CONFIG)
    expect(messages(started).join('\n')).toContain(`use redis+cluster://127.0.0.1:${port}`)
    expect(started.logs()).toEqual([])
  },
)
