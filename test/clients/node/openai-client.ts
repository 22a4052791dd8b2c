// The openai client for Node.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import OpenAI, { toFile } from 'openai'
import { type Check, receiveWebhook, type Target, TEXT, until } from './checks.ts'

/** The client's type lists OpenAI's endpoints only; at run time it accepts any. */
const PREDICT = '/predict' as '/v1/embeddings'

export async function checkOpenAi(target: Target, check: Check): Promise<void> {
  const { url, key, model, pausedModel } = target
  const client = new OpenAI({ apiKey: key, baseURL: `${url}/v1`, maxRetries: 0 })
  const line = (body: object) => `${JSON.stringify({ custom_id: 'a', method: 'POST', url: '/predict', body })}\n`
  const upload = async (content: string, name = 'input.jsonl') =>
    client.files.create({ purpose: 'batch', file: await toFile(Buffer.from(content), name) })
  const create = async (content: string, window = '24h') =>
    client.batches.create({
      input_file_id: (await upload(content)).id,
      endpoint: PREDICT,
      completion_window: window as '24h',
    })
  const ended = (id: string) =>
    until(`the end of ${id}`, async () => {
      const batch = await client.batches.retrieve(id)
      return ['completed', 'failed', 'expired', 'cancelled'].includes(batch.status) && batch
    })
  const rows = async (id: string | null | undefined) =>
    (await (await client.files.content(id ?? '')).text())
      .trim()
      .split('\n')
      .map((row) => JSON.parse(row) as { response: unknown; error: { code: string } | null })

  await check('files: create, retrieve, list, content, delete', async () => {
    const file = await upload(line({ inputs: TEXT }), 'Überprüfung 📄.jsonl')
    assert.equal(file.filename, 'Überprüfung 📄.jsonl')
    assert.deepEqual(await client.files.retrieve(file.id), file)
    assert.equal(await (await client.files.content(file.id)).text(), line({ inputs: TEXT }))
    for await (const each of client.files.list({ limit: 1 }))
      if (each.id === file.id) await client.files.delete(each.id)
    await assert.rejects(client.files.retrieve(file.id), OpenAI.NotFoundError)
  })
  await check('uploads: parts, complete with md5, a batch of the file; cancel', async () => {
    const content = Buffer.from(line({ inputs: TEXT, model }) + line({ inputs: 7 }).replace('"a"', '"b"'))
    const begin = (bytes: number) =>
      client.uploads.create({ filename: 'a.jsonl', bytes, mime_type: 'application/jsonl', purpose: 'batch' })
    const upload = await begin(content.length)
    const half = content.length >> 1
    const parts = await Promise.all(
      [content.subarray(0, half), content.subarray(half)].map(async (data) =>
        client.uploads.parts.create(upload.id, { data: await toFile(data, 'part') }),
      ),
    )
    const md5 = createHash('md5').update(content).digest('hex')
    const completed = await client.uploads.complete(upload.id, { part_ids: parts.map(({ id }) => id), md5 })
    assert.deepEqual([completed.status, completed.file?.bytes], ['completed', content.length])
    const batch = await client.batches.create({
      input_file_id: completed.file?.id ?? '',
      endpoint: PREDICT,
      completion_window: '24h',
    })
    assert.equal((await ended(batch.id)).status, 'completed')
    const other = await begin(10)
    assert.equal((await client.uploads.cancel(other.id)).status, 'cancelled')
    await assert.rejects(client.uploads.complete(other.id, { part_ids: ['part_x'] }), OpenAI.ConflictError)
  })
  await check('a completed batch: output and error file', async () => {
    const failing = line({ inputs: 7 }).replace('"a"', '"b"')
    const batch = await ended((await create(line({ inputs: TEXT, model }) + failing)).id)
    assert.deepEqual([batch.status, batch.request_counts], ['completed', { total: 2, completed: 1, failed: 1 }])
    const [[answered], [failed]] = [await rows(batch.output_file_id), await rows(batch.error_file_id)]
    assert.ok(answered?.response && failed?.response && answered.error === null && failed.error === null)
  })
  await check('an unfinished batch, then a cancelled one', async () => {
    const batch = await create(line({ inputs: TEXT, model: pausedModel }))
    assert.match((await client.batches.cancel(batch.id)).status, /^cancell/)
    const { status, error_file_id } = await ended(batch.id)
    assert.equal(status, 'cancelled')
    if (error_file_id) assert.equal((await rows(error_file_id))[0]?.error?.code, 'batch_cancelled')
  })
  await check('a failed batch, and an expired one', async () => {
    const failed = await ended((await create('nonsense\n')).id)
    assert.deepEqual([failed.status, failed.errors?.data?.[0]?.line], ['failed', 1])
    const expired = await ended((await create(line({ inputs: TEXT, model: pausedModel }), '2s')).id)
    assert.equal(expired.status, 'expired')
    assert.equal((await rows(expired.error_file_id))[0]?.error?.code, 'batch_expired')
  })
  await check('webhooks.unwrap', async () => {
    const { headers, body, secret } = await receiveWebhook(target)
    assert.deepEqual(await client.webhooks.unwrap(body, headers, secret), JSON.parse(body))
    await assert.rejects(client.webhooks.unwrap(`${body} `, headers, secret), OpenAI.InvalidWebhookSignatureError)
  })
  await check('errors: 400, 401, 404, an unknown route', async () => {
    await assert.rejects(create(line({}), 'soon'), OpenAI.BadRequestError)
    const stranger = new OpenAI({ apiKey: 'wrong', baseURL: `${url}/v1`, maxRetries: 0 })
    await assert.rejects(stranger.files.list(), OpenAI.AuthenticationError)
    await assert.rejects(client.batches.retrieve('batch_none'), OpenAI.NotFoundError)
    await assert.rejects(client.embeddings.create({ model, input: TEXT }), /\/v1\/batches/)
  })
}
