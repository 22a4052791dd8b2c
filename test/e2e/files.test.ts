// Files: broken, too large and invalid uploads; content ranges; expiry; and no leftovers.

import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { connect } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { BatchCaller, lines } from '../helpers/batches.ts'
import { emptyRedis, ownRedis } from '../helpers/redis.ts'
import { type Stack, startStack } from '../helpers/stack.ts'
import { waitFor } from '../helpers/wait-for.ts'

let stack: Stack
let caller: BatchCaller
beforeAll(async () => {
  const apiEnv = { MAX_FILE_BYTES: '3mb' }
  stack = await startStack({ redisUrl: await emptyRedis(), workerEnv: { MODELS: 'tiny-fp32' }, workers: 0, apiEnv })
  caller = new BatchCaller(stack.url)
})
afterAll(() => stack?.stop())

interface File {
  id: string
  bytes: number
  filename: string
}
const stored = () =>
  readdirSync(stack.filesDir, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).length
const uploaded = async (content: string | Buffer) => (await (await caller.upload(content)).json()) as File

describe('an upload', () => {
  it('can be found, read and erased', async () => {
    const content = lines(100)
    const file = await uploaded(content)
    expect(file).toMatchObject({
      object: 'file',
      bytes: Buffer.byteLength(content),
      filename: 'input.jsonl',
      purpose: 'batch',
    })
    expect(await caller.ask(`/v1/files/${file.id}`)).toEqual(file)
    const response = await caller.call(`/v1/files/${file.id}/content`, { headers: { Accept: 'application/binary' } })
    expect([response.headers.get('content-length'), await response.text()]).toEqual([String(file.bytes), content])
    expect(await caller.ask(`/v1/files/${file.id}`, { method: 'DELETE' })).toEqual({
      id: file.id,
      object: 'file',
      deleted: true,
    })
    expect((await caller.call(`/v1/files/${file.id}`)).status).toBe(404)
    expect((await caller.call(`/v1/files/${file.id}/content`)).status).toBe(404)
    expect(stored()).toBe(0)
  })

  it.each([
    ['an unknown purpose', () => caller.upload('{}', { purpose: 'fine-tune' }), 400],
    ['no purpose', () => caller.upload('{}', {}), 400],
    ['an empty file', () => caller.upload(''), 400],
    ['more bytes than the limit', () => caller.upload(Buffer.alloc(3 * 1_024 * 1_024 + 1, 'x')), 413],
    [
      'no file',
      () => caller.call('/v1/files', { method: 'POST', body: new URLSearchParams({ purpose: 'batch' }) }),
      415,
    ],
    ['JSON instead of a form', () => caller.call('/v1/files', { json: { purpose: 'batch' } }), 415],
    [
      'no boundary',
      () => caller.call('/v1/files', { method: 'POST', headers: { 'Content-Type': 'multipart/form-data' }, body: 'x' }),
      415,
    ],
    [
      'a truncated form',
      () => cutOff('--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nhalf'),
      400,
    ],
    ['an invalid form', () => cutOff('nonsense'), 400],
  ])("with %s is refused in OpenAI's format, and stores nothing", async (_what, send, status) => {
    const before = stored()
    const response = await send()
    expect([response.status, await response.json()]).toMatchObject([status, { error: { message: expect.any(String) } }])
    expect(stored()).toBe(before)
  })

  it('that is interrupted stores nothing', async () => {
    const before = stored()
    const socket = connect(Number(new URL(stack.url).port), '127.0.0.1')
    await once(socket, 'connect')
    socket.write(
      'POST /v1/files HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 2000000\r\n\r\n' +
        `--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n${'x'.repeat(500_000)}`,
    )
    await waitFor('the first bytes to be written', () => stored() === before + 1)
    socket.destroy()
    await waitFor('the first bytes to be removed', () => stored() === before)
    expect((await caller.call('/readyz')).status).toBe(200)
  })
})

function cutOff(body: string): Promise<Response> {
  const headers = { 'Content-Type': 'multipart/form-data; boundary=b' }
  return caller.call('/v1/files', { method: 'POST', headers, body })
}

describe('content', () => {
  it.each([
    ['bytes=0-9', 206, [0, 10]],
    ['bytes=5-', 206, [5, 26]],
    ['bytes=-4', 206, [22, 26]],
    ['bytes=20-99', 206, [20, 26]],
    ['bytes=-99', 206, [0, 26]],
    ['lines=1-2', 200, [0, 26]],
    ['bytes=5-2', 200, [0, 26]],
  ] as const)('answers Range: %s', async (range, status, [start, end]) => {
    const alphabet = 'abcdefghijklmnopqrstuvwxyz'
    const file = await uploaded(alphabet)
    const response = await caller.call(`/v1/files/${file.id}/content`, { headers: { Range: range } })
    expect([response.status, await response.text()]).toEqual([status, alphabet.slice(start, end)])
    expect(response.headers.get('content-range')).toBe(status === 206 ? `bytes ${start}-${end - 1}/26` : null)
  })

  it('answers 416 to a range after the end, and HEAD with the length alone', async () => {
    const file = await uploaded('abc')
    const afterEnd = await caller.call(`/v1/files/${file.id}/content`, { headers: { Range: 'bytes=3-' } })
    expect([afterEnd.status, afterEnd.headers.get('content-range')]).toEqual([416, 'bytes */3'])
    const head = await caller.call(`/v1/files/${file.id}/content`, { method: 'HEAD' })
    expect([head.status, head.headers.get('content-length'), await head.text()]).toEqual([200, '3', ''])
  })
})

it('lists files page by page, in both directions', async () => {
  const made: string[] = []
  for (let index = 0; index < 5; index += 1) made.push((await uploaded(`{"n":${index}}`)).id)
  interface List {
    data: File[]
    has_more: boolean
    first_id: string
    last_id: string
  }
  const list = (query: string) => caller.ask<List>(`/v1/files?${query}`)
  const idsOf = ({ data }: List) => data.map(({ id }) => id)
  const first = await list('limit=2')
  expect([idsOf(first), first.has_more, first.last_id]).toEqual([[made[4], made[3]], true, made[3]])
  const second = await list(`limit=2&after=${first.last_id}`)
  expect([idsOf(second), second.has_more]).toEqual([[made[2], made[1]], true])
  expect(idsOf(await list(`order=asc&after=${made[1]}`))).toEqual(made.slice(2))
  expect(idsOf(await list('purpose=batch_output'))).toEqual([])
  expect((await caller.call('/v1/files?limit=0')).status).toBe(400)
})

it('keeps a file until the batch that reads it has ended', async () => {
  const file = await uploaded(lines(5))
  const batch = await caller.create({ input_file_id: file.id })
  const refused = await caller.call(`/v1/files/${file.id}`, { method: 'DELETE' })
  expect([refused.status, await refused.json()]).toMatchObject([409, { error: { code: 'conflict' } }])
  await caller.ask(`/v1/batches/${batch.id}/cancel`, { method: 'POST' })
  const ended = await caller.ended(batch.id)
  expect(ended).toMatchObject({ status: 'cancelled', request_counts: { total: 5, failed: 5 } })
  expect((await caller.call(`/v1/files/${file.id}`, { method: 'DELETE' })).status).toBe(200)
})

describe('expiry', () => {
  it('of a file, a batch and its output removes records and bytes', async () => {
    const redis = await ownRedis()
    const short = await startStack({
      redisUrl: redis.url,
      workerEnv: { MODELS: 'tiny-fp32' },
      apiEnv: { FILE_TTL: '2s', BATCH_TTL: '2s' },
    })
    try {
      const soon = new BatchCaller(short.url)
      const batch = await soon.ended((await soon.run(lines(10))).id)
      expect(batch.status).toBe('completed')
      const gone = async (path: string) => (await soon.call(path)).status === 404
      await waitFor('the batch to be gone', () => gone(`/v1/batches/${batch.id}`))
      await waitFor('the input to be gone', () => gone(`/v1/files/${batch.input_file_id}`))
      await waitFor('the output to be gone', () => gone(`/v1/files/${batch.output_file_id}/content`))
      const left = () =>
        readdirSync(short.filesDir, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
      await waitFor('the bytes to be gone', () => left().length === 0)
      expect((await soon.ask<{ data: unknown[] }>('/v1/batches')).data).toEqual([])
    } finally {
      await short.stop()
      await redis.stop()
    }
  })
})
