// Redis with TLS, client certificates and the ACL of docs/operations.md: everything works, and the ACL permits nothing more.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { BatchCaller, line, lines } from '../helpers/batches.ts'
import { type Stack, startStack } from '../helpers/stack.ts'
import { Authority } from '../helpers/tls/authority.ts'
import { startTlsRedis, type TlsRedis } from '../helpers/tls/redis.ts'
import { waitFor } from '../helpers/wait-for.ts'
import { startReceiver, type WebhookReceiver } from '../helpers/webhook-receiver.ts'

const dir = mkdtempSync(join(tmpdir(), 'inferq-acl-'))
const TEXT = 'The boy is sitting on a bench'
const login = { Authorization: `Basic ${Buffer.from('admin:test-password').toString('base64')}` }

let server: TlsRedis
let admin: Redis
let stack: Stack
let receiver: WebhookReceiver
let caller: BatchCaller

/** The rules of the documented user. */
function documentedRules(): string[] {
  const page = readFileSync(fileURLToPath(new URL('../../docs/operations.md', import.meta.url)), 'utf8')
  const command = /^ACL SETUSER inferq on '>PASSWORD' ([^`]+)```$/m.exec(page)?.[1]
  return (command ?? '').replaceAll('\\\n', ' ').trim().split(/\s+/)
}

beforeAll(async () => {
  const authority = new Authority(dir, 'own')
  const files = authority.issue('server')
  const client = authority.issue('client')
  server = await startTlsRedis({ ...files, ca: authority.ca, dir, authClients: true })
  const [ca, cert, key] = [authority.ca, client.cert, client.key].map((path) => readFileSync(path, 'utf8'))
  admin = new Redis({ port: server.port, host: '127.0.0.1', tls: { ca, cert, key } })
  await admin.acl('SETUSER', 'inferq', 'on', '>the-password-of-inferq', ...documentedRules())
  const tls = { REDIS_TLS_CA: authority.ca, REDIS_TLS_CERT: client.cert, REDIS_TLS_KEY: client.key }
  receiver = await startReceiver(() => 200)
  stack = await startStack({
    redisUrl: `rediss://inferq:the-password-of-inferq@127.0.0.1:${server.port}`,
    apiEnv: {
      ...tls,
      ADMIN_WRITE: 'on',
      WEBHOOK_ALLOW: '127.0.0.0/8',
      RESULT_TTL: '4s',
      ADMIN_PASSWORD: 'test-password',
    },
    workerEnv: { ...tls, MODELS: 'tiny-fp32' },
  })
  caller = new BatchCaller(stack.url)
})
afterAll(async () => {
  await stack?.stop()
  receiver?.stop()
  admin?.disconnect()
  await server?.stop()
  rmSync(dir, { recursive: true, force: true })
})

/** What the ACL has refused so far. */
async function refusals(): Promise<string[]> {
  const entries = (await admin.acl('LOG')) as unknown[]
  return entries.map((entry) => JSON.stringify(entry))
}

it('the main paths work, and Redis refuses nothing', async () => {
  expect(documentedRules()).toContain('~inferq:*')
  // Plain calls, predictions with every way to wait, lists, cancellation and erasure.
  expect((await caller.call(`/predict?text=${TEXT}`)).status).toBe(200)
  const submit = (prefer: string, more: object = {}, headers: Record<string, string> = {}) =>
    caller.call('/v1/predictions', {
      json: { input: { text: TEXT }, ...more },
      headers: { Prefer: prefer, ...headers },
    })
  const idempotent = { 'Idempotency-Key': 'same' }
  expect((await submit('wait', { webhook: `${receiver.url}/prediction` }, idempotent)).status).toBe(201)
  const { id } = (await (await submit('respond-async')).json()) as { id: string }
  expect((await caller.call(`/v1/predictions/${id}`, { headers: { Prefer: 'wait=5' } })).status).toBe(200)
  await (await caller.call(`/v1/predictions/${id}/stream`)).text()
  expect((await caller.call('/v1/predictions')).status).toBe(200)
  await caller.call(`/v1/predictions/${id}/cancel`, { method: 'POST' })
  await caller.call(`/v1/predictions/${id}`, { method: 'DELETE' })
  await receiver.at('/prediction')

  // Files and batches, one of them cancelled.
  const batch = await caller.run(lines(300), { webhook: `${receiver.url}/batch` })
  await receiver.at('/batch')
  const rows = await (await caller.call(`/v1/batches/${batch.id}/results`)).text()
  expect(rows.trim().split('\n')).toHaveLength(300)
  // It has a request that fails, so something is left to retry even if all others are answered first.
  const second = await caller.run(lines(2_000) + line('fails', {}))
  await caller.call(`/v1/batches/${second.id}/cancel`, { method: 'POST' })
  await waitFor('its end', async () => (await caller.ask(`/v1/batches/${second.id}`)).status === 'cancelled')
  expect((await caller.call(`/v1/batches/${second.id}/retry`, { method: 'POST' })).status).toBe(200)
  expect((await caller.call('/v1/batches')).status).toBe(200)
  expect((await caller.call(`/v1/files/${batch.input_file_id}`, { method: 'DELETE' })).status).toBe(200)

  // Secrets and deliveries of webhooks, what operators see, and the dashboard with its changes.
  for (const method of ['GET', 'POST'])
    expect((await caller.call('/v1/webhooks/default/secret', { method })).status).toBe(200)
  expect((await caller.call(`/v1/batches/${batch.id}/deliveries`)).status).toBe(200)
  for (const path of ['/health', '/readyz', '/metrics', '/v1/models', '/v1/queue', '/info'])
    expect([path, (await caller.call(path)).status]).toEqual([path, 200])
  const board = (path: string, method = 'GET') =>
    caller.call(`/admin/queues/api/queues${path}`, { method, headers: login })
  expect((await board('?activeQueue=tiny-fp32&page=1&jobsPerPage=10&status=completed')).status).toBe(200)
  for (const change of ['pause', 'resume']) expect((await board(`/tiny-fp32-bulk/${change}`, 'PUT')).status).toBe(200)

  // Sweeps: the expired predictions go, on the interval of RESULT_TTL.
  await waitFor('the sweep', async () => {
    const { results } = await caller.ask<{ results: unknown[] }>('/v1/predictions')
    return results.length === 0
  })
  // A worker that stops gives its jobs back and leaves the fleet.
  const waiting = submit('wait')
  await stack.workers[0]?.stop()
  await stack.addWorker()
  expect((await waiting).status).toBe(201)
  expect(await refusals()).toEqual([])
}, 180_000)

it('each part of the ACL is needed for a command that was sent', async () => {
  const stats = await admin.info('commandstats')
  const sent = [...stats.matchAll(/^cmdstat_([\w|-]+):calls=(\d+)/gm)].map(([, name = '']) => name)
  const rules = documentedRules()
  const permits = async (given: string[]) => {
    await admin.acl('SETUSER', 'probe', 'reset', ...given)
    const refused = await Promise.all(sent.map((command) => isRefused(command)))
    return sent.filter((_command, index) => !refused[index])
  }
  const all = await permits(rules)
  for (const rule of rules.filter((each) => each.startsWith('+'))) {
    const without = await permits(rules.filter((each) => each !== rule))
    expect(without.length, `${rule} is needed`).toBeLessThan(all.length)
  }
  for (const dangerous of ['flushall', 'keys', 'config|set', 'acl|setuser', 'shutdown', 'debug', 'replicaof'])
    expect([dangerous, await isRefusedTo(dangerous, rules)]).toEqual([dangerous, true])
})

/** Whether the user `probe` may not send the command, whatever its arguments are. */
async function isRefused(command: string): Promise<boolean> {
  const [name = '', sub] = command.split('|')
  const words = [name, ...(sub === undefined ? [] : [sub])]
  for (let count = 0; count <= 4; count += 1) {
    const given = [...words, ...Array<string>(count).fill('1')]
    const reply = await admin.call('ACL', ['DRYRUN', 'probe', ...given]).then(String, (error: Error) => error.message)
    if (!/number of arguments|syntax/i.test(reply)) return /no permissions to run/i.test(reply)
  }
  throw new Error(`no arguments for ${command}`)
}

async function isRefusedTo(command: string, rules: string[]): Promise<boolean> {
  await admin.acl('SETUSER', 'probe', 'reset', ...rules)
  return isRefused(command)
}
