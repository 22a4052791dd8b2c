// Files and batches with the unmodified openai client.
import OpenAI, { toFile } from 'openai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { emptyRedis } from '../helpers/redis.ts'
import { type Stack, startStack } from '../helpers/stack.ts'
import { waitFor } from '../helpers/wait-for.ts'

let stack: Stack
let client: OpenAI
beforeAll(async () => {
  stack = await startStack({
    redisUrl: await emptyRedis(),
    workerEnv: { MODELS: 'tiny-fp32' },
    apiEnv: { API_KEYS: 'ann:the-secret-of-ann' },
  })
  client = new OpenAI({ apiKey: 'the-secret-of-ann', baseURL: `${stack.url}/v1`, maxRetries: 0 })
})
afterAll(() => stack?.stop())

/** The client's type lists OpenAI's endpoints only; at run time it accepts any. */
const PREDICT = '/predict' as '/v1/embeddings'

interface Row {
  id: string
  custom_id: string
  response: { status_code: number; body: unknown } | null
  error: { code: string; message: string } | null
}

const line = (id: string, body: unknown) =>
  `${JSON.stringify({ custom_id: id, method: 'POST', url: '/predict', body })}\n`
const uploaded = async (content: string | Buffer) =>
  client.files.create({ purpose: 'batch', file: await toFile(Buffer.from(content), 'input.jsonl') })
const rowsOf = async (id: string | null | undefined): Promise<Row[]> => {
  const text = await (await client.files.content(id ?? '')).text()
  return text.split('\n').flatMap((each) => (each ? [JSON.parse(each) as Row] : []))
}
const create = (file: string, more: object = {}) =>
  client.batches.create({ input_file_id: file, endpoint: PREDICT, completion_window: '24h', ...more })
const ended = (id: string) =>
  waitFor(`batch ${id} to end`, async () => {
    const batch = await client.batches.retrieve(id)
    return ['completed', 'failed', 'expired', 'cancelled'].includes(batch.status) && batch
  })

describe('a batch', () => {
  it('runs from upload to output and error file, in order, with the answers of /predict', async () => {
    const ids = Array.from({ length: 1_500 }, (_, index) => `row-${index}`)
    const text = (index: number) => `The boy number ${index} is sitting on a bench`
    const file = await uploaded(
      ids.map((id, index) => line(id, index % 100 === 7 ? { inputs: 7 } : { inputs: text(index) })).join(''),
    )
    expect(file).toMatchObject({ object: 'file', purpose: 'batch', filename: 'input.jsonl', status: 'processed' })
    const made = await create(file.id, { metadata: { run: 'one' } })
    expect(made).toMatchObject({
      object: 'batch',
      endpoint: '/predict',
      input_file_id: file.id,
      metadata: { run: 'one' },
    })
    const batch = await ended(made.id)
    expect(batch).toMatchObject({
      status: 'completed',
      errors: null,
      request_counts: { total: 1_500, completed: 1_485, failed: 15 },
    })
    const [output, errors] = [await rowsOf(batch.output_file_id), await rowsOf(batch.error_file_id)]
    expect(output.map(({ custom_id }) => custom_id)).toEqual(ids.filter((_, index) => index % 100 !== 7))
    expect(errors.map(({ custom_id }) => custom_id)).toEqual(ids.filter((_, index) => index % 100 === 7))
    expect(errors[0]).toMatchObject({
      response: { status_code: 422, body: { error: { type: 'invalid_request_error' } } },
      error: null,
    })
    const answer = await fetch(`${stack.url}/predict`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', Authorization: 'Bearer the-secret-of-ann' },
      body: JSON.stringify({ inputs: text(0) }),
    })
    expect(output[0]).toMatchObject({ error: null, response: { status_code: 200, body: await answer.json() } })
  })
})

describe('the client', () => {
  it('cancels a batch: finished rows are kept, and every other row has an error', async () => {
    const rows = Array.from({ length: 4_000 }, (_, index) => line(`row-${index}`, { inputs: 'many words '.repeat(40) }))
    const made = await create((await uploaded(rows.join(''))).id)
    await client.batches.cancel(made.id)
    const batch = await ended(made.id)
    const { completed = 0, failed = 0 } = batch.request_counts ?? {}
    expect([batch.status, completed + failed]).toEqual(['cancelled', 4_000])
    expect((await rowsOf(batch.error_file_id)).map(({ error }) => error?.code)).toEqual(
      new Array<string>(failed).fill('batch_cancelled'),
    )
  })

  it('lists files and batches page by page, newest first', async () => {
    const made: string[] = []
    const file = await uploaded(line('a', { inputs: 'She saw him.' }))
    for (let index = 0; index < 3; index += 1) made.unshift((await create(file.id)).id)
    const listed: string[] = []
    for await (const { id } of client.batches.list({ limit: 2 })) listed.push(id)
    expect(listed.slice(0, 3)).toEqual(made)
    const files: string[] = []
    for await (const { id } of client.files.list({ limit: 2 })) files.push(id)
    expect(files).toContain(file.id)
    await Promise.all(made.map(ended))
  })

  it('deletes every file while it lists them, outputs of batches too', async () => {
    for (let number = 0; number < 3; number += 1) await uploaded(line('a', { inputs: 'one' }))
    const { input_file_id: input } = await ended((await create((await uploaded(line('a', { inputs: 'one' }))).id)).id)
    const deleted: string[] = []
    for await (const file of client.files.list({ limit: 2 })) {
      await client.files.delete(file.id)
      deleted.push(file.id)
    }
    expect(deleted).toContain(input)
    expect(deleted.length).toBeGreaterThanOrEqual(5)
    expect((await client.files.list()).data).toEqual([])
  })

  it('retrieves and deletes a file, and maps errors to its own classes', async () => {
    const file = await uploaded('nonsense')
    expect(await client.files.retrieve(file.id)).toEqual(file)
    const batch = await ended((await create(file.id)).id)
    expect(batch).toMatchObject({ status: 'failed', errors: { data: [{ code: 'invalid_json_line', line: 1 }] } })
    expect(await client.files.delete(file.id)).toMatchObject({ id: file.id, deleted: true })
    await expect(client.files.retrieve(file.id)).rejects.toBeInstanceOf(OpenAI.NotFoundError)
    await expect(create(file.id)).rejects.toMatchObject({ status: 404, code: 'not_found' })
    await expect(create(file.id, { completion_window: 'soon' })).rejects.toMatchObject({
      status: 400,
      param: 'completion_window',
      type: 'invalid_request_error',
    })
    const stranger = new OpenAI({ apiKey: 'wrong', baseURL: `${stack.url}/v1`, maxRetries: 0 })
    await expect(stranger.batches.list()).rejects.toBeInstanceOf(OpenAI.AuthenticationError)
  })
})
