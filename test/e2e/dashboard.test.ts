// The dashboard: login, read-only access and hidden texts.
import { Queue } from 'bullmq'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { emptyRedis } from '../helpers/redis.ts'
import { type Stack, startStack } from '../helpers/stack.ts'
import { waitFor } from '../helpers/wait-for.ts'

let redisUrl: string
let stack: Stack
beforeAll(async () => {
  redisUrl = await emptyRedis()
  stack = await startStack({ redisUrl })
  const response = await fetch(`${stack.url}/v1/predictions`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', Prefer: 'wait' },
    body: JSON.stringify({ input: { text: TEXT } }),
  })
  expect(response.status).toBe(201)
})
afterAll(() => stack?.stop())

const TEXT = 'a text that operators need not see'
const login = `Basic ${Buffer.from('admin:test-password').toString('base64')}`
/** Jobs of the bulk lane wait until the returned function is called. */
async function pausedBulkLane(): Promise<() => Promise<void>> {
  const connection = new Redis(redisUrl, { maxRetriesPerRequest: null })
  const queue = new Queue('tiny-fp32-bulk', { connection, prefix: 'inferq:q' })
  await queue.pause()
  return async () => {
    await queue.resume()
    await queue.close()
    connection.disconnect()
  }
}

const call = (path: string, method = 'GET', headers: Record<string, string> = {}) =>
  fetch(`${stack.url}/admin/queues${path}`, { method, headers: { Authorization: login, ...headers } })

describe('the dashboard', () => {
  it('requires a login, and rejects a wrong one', async () => {
    for (const authorization of [
      undefined,
      'Basic x',
      `Basic ${Buffer.from('admin:wrong').toString('base64')}`,
      'Bearer secret',
    ]) {
      const headers: Record<string, string> = authorization ? { Authorization: authorization } : {}
      for (const path of ['', '/api/queues', '/static/x']) {
        const response = await fetch(`${stack.url}/admin/queues${path}`, { headers })
        expect([path, response.status]).toEqual([path, 401])
        expect(response.headers.get('www-authenticate')).toMatch(/^Basic /)
      }
    }
    expect((await call('')).status).toBe(200)
  })

  it('shows both lanes of every model with jobs and labels, without texts', async () => {
    const queues = await call('/api/queues?activeQueue=tiny-fp32&page=1&jobsPerPage=10&status=completed')
    const text = await queues.text()
    const names = (JSON.parse(text) as { queues: { name: string }[] }).queues.map(({ name }) => name)
    expect(names).toEqual(expect.arrayContaining(['tiny-fp32', 'tiny-fp32-bulk', 'tiny-pairs']))
    expect(text).toContain('1 hidden, 34 characters')
    expect(text).not.toContain(TEXT)
    expect(text).not.toContain('logits')
    expect(text).toMatch(/positive.*score/)
    const [id] = /public_[0-9a-f-]{36}/.exec(text) ?? []
    const job = await (await call(`/api/queues/tiny-fp32/${id}`)).text()
    expect(job).toContain('hidden')
    expect(job).not.toContain(TEXT)
  })

  it('shows batches and links their chunks to them, and asks no other site for fonts', async () => {
    const lines = Array.from({ length: 3 }, (_, index) =>
      JSON.stringify({ custom_id: `${index}`, method: 'POST', url: '/predict', body: { inputs: TEXT } }),
    )
    const form = new FormData()
    form.append('purpose', 'batch')
    form.append('file', new Blob([lines.join('\n')]), 'in.jsonl')
    const file = (await (await fetch(`${stack.url}/v1/files`, { method: 'POST', body: form })).json()) as { id: string }
    const hold = await pausedBulkLane()
    try {
      const made = await fetch(`${stack.url}/v1/batches`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify({ input_file_id: file.id, endpoint: '/predict', completion_window: '24h' }),
      })
      const { id } = (await made.json()) as { id: string }
      const link = `"href":"/v1/batches/${id}"`
      const shows = async (queue: string) =>
        (await (await call(`/api/queues?activeQueue=${queue}`)).text()).includes(link)
      await waitFor('the job of the batch', () => shows('batches'))
      await waitFor('its chunk', () => shows('tiny-fp32-bulk'))
    } finally {
      await hold()
    }
    const page = await (await call('/')).text()
    expect(page).toContain('<title>inferq</title>')
    expect(page).not.toContain('fonts.googleapis')
  })

  it.each([
    ['PUT', '/api/queues/tiny-fp32/pause'],
    ['PUT', '/api/queues/tiny-fp32/obliterate'],
    ['PUT', '/api/queues/tiny-fp32/clean/completed'],
    ['POST', '/api/queues/tiny-fp32/add'],
    ['PUT', '/api/queues/pause'],
  ])('is read-only: answers 403 to %s %s', async (method, path) => {
    expect((await call(path, method)).status).toBe(403)
  })

  it('rejects cross-site requests', async () => {
    expect((await call('/api/queues', 'GET', { Origin: 'http://elsewhere.example' })).status).toBe(403)
    expect((await call('/api/queues', 'GET', { Origin: stack.url })).status).toBe(200)
  })
})

describe('with ADMIN_WRITE', () => {
  it('can pause and resume, but not remove or add jobs', async () => {
    const writable = await startStack({ redisUrl: await emptyRedis(), apiEnv: { ADMIN_WRITE: 'on' } })
    const put = (path: string, method = 'PUT') =>
      fetch(`${writable.url}/admin/queues/api/queues/tiny-fp32/${path}`, { method, headers: { Authorization: login } })
    try {
      expect((await put('pause')).status).toBe(200)
      expect((await put('resume')).status).toBe(200)
      for (const path of ['obliterate', 'empty', 'clean/completed'])
        expect([path, (await put(path)).status]).toEqual([path, 403])
      expect((await put('add', 'POST')).status).toBe(403)
    } finally {
      await writable.stop()
    }
  })
})
