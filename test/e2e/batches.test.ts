// Batches over HTTP: lines, results while a batch runs, windows, retries and ownership.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { BatchCaller, line, lines, parsed } from '../helpers/batches.ts'
import { emptyRedis } from '../helpers/redis.ts'
import { type Stack, startStack } from '../helpers/stack.ts'
import { waitFor } from '../helpers/wait-for.ts'

let stack: Stack
let ann: BatchCaller
let bob: BatchCaller
beforeAll(async () => {
  const apiEnv = {
    API_KEYS: 'ann:the-secret-of-ann,bob:the-secret-of-bob',
    ADMIN_WRITE: 'on',
    MAX_BATCH_LINES: '12000',
  }
  stack = await startStack({ redisUrl: await emptyRedis(), apiEnv })
  ann = new BatchCaller(stack.url, 'the-secret-of-ann')
  bob = new BatchCaller(stack.url, 'the-secret-of-bob')
})
afterAll(() => stack?.stop())

const text = 'The boy is sitting on a bench'
const predict = async (body: object) => (await ann.call('/predict', { json: body })).json()
const ids = (rows: { custom_id: string }[]) => rows.map(({ custom_id }) => custom_id)

/** Pauses or resumes the bulk lane in the dashboard. */
async function setLane(action: 'pause' | 'resume'): Promise<void> {
  const headers = { Authorization: `Basic ${Buffer.from('admin:test-password').toString('base64')}` }
  const response = await fetch(`${stack.url}/admin/queues/api/queues/tiny-fp32-bulk/${action}`, {
    method: 'PUT',
    headers,
  })
  expect(response.status).toBe(200)
}

async function whilePaused<T>(use: () => Promise<T>): Promise<T> {
  await setLane('pause')
  try {
    return await use()
  } finally {
    await setLane('resume')
  }
}

describe('a line', () => {
  const asked = {
    plain: { inputs: text },
    alias: { text },
    list: { inputs: [text, 'Another one'] },
    pairs: { inputs: [[text, 'Another one']], model: 'tiny-pairs' },
    top: { inputs: text, parameters: { top_k: 1 } },
    raw: { inputs: text, raw_scores: true },
    left: { inputs: 'many words '.repeat(400), truncation_direction: 'Left' },
    other: { inputs: text, model: 'tiny-multilabel' },
    owner: { inputs: text, model: 'anybody/tiny-regression' },
  }
  const refused = {
    unknown: [404, { inputs: text, model: 'nobody-knows' }],
    revision: [404, { inputs: text, model: 'tiny-fp32@0000' }],
    traversal: [404, { inputs: text, model: '../../x' }],
    long: [422, { inputs: 'many words '.repeat(400), truncate: false }],
    surrogate: [422, { inputs: 'a\ud800' }],
    empty: [422, { inputs: '' }],
    number: [422, { inputs: 7 }],
    nonsense: [422, { inputs: text, nonsense: 1 }],
    nobody: [422, undefined],
    list: [422, [text]],
  } as const

  it('gets the answer of /predict for all options and models, and errors do not stop the batch', async () => {
    const good = Object.entries(asked).map(([id, body]) => line(id, body))
    const bad = Object.entries(refused).map(([id, [, body]]) => line(`bad-${id}`, body))
    // Alternates bad and good lines.
    const content = bad.map((each, index) => each + (good[index] ?? '')).join('')
    const batch = await ann.ended((await ann.run(content)).id)
    expect(batch).toMatchObject({ status: 'completed', request_counts: { total: 19, completed: 9, failed: 10 } })
    for (const { custom_id, response, error } of await ann.rows(batch.output_file_id)) {
      expect([custom_id, response?.body]).toEqual([custom_id, await predict(asked[custom_id as keyof typeof asked])])
      expect([response?.status_code, error]).toEqual([200, null])
    }
    const errors = await ann.rows(batch.error_file_id)
    expect(errors.map(({ custom_id, response }) => [custom_id, response?.status_code])).toEqual(
      Object.entries(refused).map(([id, [status]]) => [`bad-${id}`, status]),
    )
    // As in OpenAI's files: `error` is for requests without a response.
    expect(errors.every(({ error }) => error === null)).toBe(true)
    expect(errors.map(({ response }) => response?.body)).toEqual(
      errors.map(() => expect.objectContaining({ error: expect.objectContaining({ message: expect.any(String) }) })),
    )
    expect(ids(await ann.results(batch.id))).toEqual(
      content.split('\n').flatMap((each) => (each ? [JSON.parse(each).custom_id] : [])),
    )
  })

  it("can use Hugging Face's endpoint, with its response format", async () => {
    const content = line('a', { inputs: text }, { url: '/models/tiny-pairs' })
    const batch = await ann.ended((await ann.run(content, { endpoint: '/models/tiny-pairs' })).id)
    const [row] = await ann.rows(batch.output_file_id)
    expect(row?.response?.body).toEqual(await (await ann.call('/models/tiny-pairs', { json: { inputs: text } })).json())
  })
})

describe('POST /v1/batches', () => {
  const requests = [
    { custom_id: 'a', body: { inputs: text } },
    { custom_id: 'b', body: { inputs: 7 } },
  ]

  it('accepts inline requests', async () => {
    const batch = await ann.ended((await ann.create({ requests, metadata: { mine: 'yes' } })).id)
    expect(batch).toMatchObject({ metadata: { mine: 'yes' }, request_counts: { total: 2, completed: 1, failed: 1 } })
    expect(ids(await ann.results(batch.id))).toEqual(['a', 'b'])
    expect(await ann.ask(`/v1/files/${batch.input_file_id}`)).toMatchObject({ purpose: 'batch' })
  })

  it('creates one batch for fifty requests with one Idempotency-Key, and refuses a different request', async () => {
    const json = { requests, endpoint: '/predict', completion_window: '24h' }
    const headers = { 'Idempotency-Key': 'nightly' }
    const all = await Promise.all(Array.from({ length: 50 }, () => ann.call('/v1/batches', { json, headers })))
    const made = await Promise.all(all.map(async (each) => ((await each.json()) as { id: string }).id))
    expect(new Set(made).size).toBe(1)
    expect(all.filter((each) => each.headers.get('idempotency-replayed') !== 'true')).toHaveLength(1)
    const other = await ann.call('/v1/batches', { json: { ...json, completion_window: '1h' }, headers })
    expect([other.status, await other.json()]).toMatchObject([400, { error: { param: 'Idempotency-Key' } }])
    expect((await bob.create({ requests }, headers)).id).not.toBe(made[0])
  })

  it.each([
    ['an unknown file', { input_file_id: 'file-0190f3f2-7c1e-7000-8000-000000000000' }, 404, null],
    ['a malformed id', { input_file_id: '../../etc/passwd' }, 404, null],
    ['another endpoint', { requests, endpoint: '/v1/chat/completions' }, 400, 'endpoint'],
    ['an invalid window', { requests, completion_window: 'soon' }, 400, 'completion_window'],
    ['an empty window', { requests, completion_window: '0s' }, 400, 'completion_window'],
    ['neither file nor requests', {}, 400, 'input_file_id'],
    ['no requests', { requests: [] }, 400, 'requests'],
    ['a private webhook', { requests, webhook: 'https://127.0.0.1' }, 400, 'webhook'],
    ['an unknown field', { requests, nonsense: 1 }, 400, 'nonsense'],
    ['metadata that is too long', { requests, metadata: { a: 'x'.repeat(513) } }, 400, 'metadata.a'],
  ])("answers %s with an error in OpenAI's format", async (_what, body, status, param) => {
    const json = { endpoint: '/predict', completion_window: '24h', ...body }
    const response = await ann.call('/v1/batches', { json })
    expect(response.status).toBe(status)
    expect(await response.json()).toEqual({
      error: { message: expect.any(String), type: 'invalid_request_error', param, code: expect.any(String) },
    })
  })

  it('fails a batch with invalid lines, and lists them', async () => {
    const bad = `${line('a', { inputs: text })}nonsense\n\n${line('a', { inputs: text })}{"custom_id":7}\r\n`
    const batch = await ann.ended((await ann.run(bad)).id)
    expect(batch).toMatchObject({ status: 'failed', output_file_id: null, error_file_id: null })
    expect(batch.failed_at).toEqual(expect.any(Number))
    expect(batch.errors?.data).toMatchObject([
      { code: 'invalid_json_line', line: 2 },
      { code: 'duplicate_custom_id', line: 4, param: 'custom_id' },
      { code: 'invalid_custom_id', line: 5, param: 'custom_id' },
    ])
  })

  it('reports the first 100 of 10,000 invalid lines', async () => {
    const batch = await ann.ended((await ann.run('{"custom_id": 1}\n'.repeat(10_000))).id)
    expect([batch.status, batch.errors?.data.length]).toEqual(['failed', 100])
  })
})

describe('results of a running batch', () => {
  it('arrive in order, resume after an interruption, and end with the batch', async () => {
    const batch = await whilePaused(async () => {
      const made = await ann.run(lines(5_000))
      await waitFor('the batch to run', async () => (await ann.get(made.id)).status === 'in_progress')
      expect(await ann.results(made.id)).toEqual([])
      return made
    })
    const response = await ann.call(`/v1/batches/${batch.id}/results?follow=1`)
    expect(response.headers.get('content-type')).toBe('application/x-ndjson')
    let received = ''
    for await (const piece of response.body ?? []) {
      received += Buffer.from(piece as Uint8Array).toString()
      if (received.length > 200_000) break
    }
    const first = parsed(received.slice(0, received.lastIndexOf('\n') + 1))
    expect(first.length).toBeGreaterThan(500)
    expect(first.length).toBeLessThan(5_000)
    const rest = await ann.results(batch.id, `?follow=1&after=${first.length}`)
    expect(ids([...first, ...rest])).toEqual(Array.from({ length: 5_000 }, (_, index) => `row-${index}`))
    expect((await ann.get(batch.id)).status).toBe('completed')
    expect(await ann.results(batch.id, '?after=5000&follow=1')).toEqual([])
  })

  it('are reported as events whose counts never decrease', async () => {
    const batch = await whilePaused(() => ann.run(lines(5_000)))
    const response = await ann.call(`/v1/batches/${batch.id}`, { headers: { Accept: 'text/event-stream' } })
    expect(response.headers.get('content-type')).toMatch(/^text\/event-stream/)
    const events = (await response.text()).split('\n\n').flatMap((event) => {
      const match = /^event: (\w+)\ndata: (.*)$/.exec(event)
      return match
        ? [{ event: match[1], batch: JSON.parse(match[2] ?? '') as { request_counts: { completed: number } } }]
        : []
    })
    const counts = events.map((each) => each.batch.request_counts.completed)
    expect(counts).toEqual(counts.toSorted((a, b) => a - b))
    expect(events.at(-1)).toMatchObject({
      event: 'done',
      batch: { status: 'completed', request_counts: { completed: 5_000 } },
    })
  })
})

describe('a paused lane', () => {
  it('fails no row, does not affect interactive requests, and continues when it is resumed', async () => {
    const batch = await whilePaused(async () => {
      const made = await ann.run(lines(2_000))
      await waitFor('chunks to wait', async () => {
        const { models } = await ann.ask<{ models: Record<string, { depth: { bulk: number } }> }>('/v1/queue')
        return (models['tiny-fp32']?.depth.bulk ?? 0) >= 4
      })
      // Longer than the waiter's reply grace and a job lock.
      const since = Date.now()
      await waitFor('twelve seconds to pass', () => Date.now() - since > 12_000)
      expect(await predict({ inputs: text })).toHaveLength(2)
      expect((await ann.get(made.id)).request_counts).toEqual({ total: 2_000, completed: 0, failed: 0 })
      return made
    })
    const done = await ann.ended(batch.id)
    expect(done.request_counts).toEqual({ total: 2_000, completed: 2_000, failed: 0 })
  })
})

describe('cancel', () => {
  it('keeps finished rows, gives every other row an error, and is refused after the end', async () => {
    const made = await ann.run(lines(12_000))
    await waitFor('some rows', async () => (await ann.get(made.id)).request_counts.completed > 0)
    const answer = await ann.ask(`/v1/batches/${made.id}/cancel`, { method: 'POST' })
    expect(['cancelling', 'cancelled']).toContain(answer.status)
    const batch = await ann.ended(made.id)
    const { total, completed, failed } = batch.request_counts
    expect(batch.status).toBe('cancelled')
    expect([total, completed + failed]).toEqual([12_000, 12_000])
    const errors = await ann.rows(batch.error_file_id)
    expect([errors.length, new Set(errors.map(({ error }) => error?.code))]).toEqual([
      failed,
      new Set(['batch_cancelled']),
    ])
    expect(await ann.rows(batch.output_file_id)).toHaveLength(completed)
    expect((await ann.call(`/v1/batches/${made.id}/cancel`, { method: 'POST' })).status).toBe(409)
  })

  it('of a waiting batch answers no row', async () => {
    const batch = await whilePaused(async () => {
      const made = await ann.run(lines(100))
      await ann.ask(`/v1/batches/${made.id}/cancel`, { method: 'POST' })
      return ann.ended(made.id)
    })
    expect(batch).toMatchObject({
      status: 'cancelled',
      output_file_id: null,
      request_counts: { total: 100, failed: 100 },
    })
    expect(batch.cancelled_at).toEqual(expect.any(Number))
  })
})

describe('the completion window', () => {
  it('expires a batch whose lane is paused, with an error for every row', async () => {
    const expired = await whilePaused(async () =>
      ann.ended((await ann.run(lines(3_000), { completion_window: '2s' })).id),
    )
    expect(expired).toMatchObject({ status: 'expired', request_counts: { total: 3_000, completed: 0, failed: 3_000 } })
    const [row] = await ann.rows(expired.error_file_id)
    expect(row).toMatchObject({ custom_id: 'row-0', response: null, error: { code: 'batch_expired' } })
  })
})

describe('retry', () => {
  it('runs only the failed rows again', async () => {
    const good = lines(2_000)
    const bad = Array.from({ length: 30 }, (_, index) => line(`bad-${index}`, { inputs: text, model: 'tiny-fp32@0' }))
    const first = await ann.ended((await ann.run(good + bad.join(''))).id)
    expect(first.request_counts).toEqual({ total: 2_030, completed: 2_000, failed: 30 })
    const made = await ann.ask(`/v1/batches/${first.id}/retry`, { method: 'POST' })
    expect(made.metadata).toEqual({ retry_of: first.id })
    const again = await ann.ended(made.id)
    expect(again.request_counts).toEqual({ total: 30, completed: 0, failed: 30 })
    expect(ids(await ann.results(again.id))).toEqual(bad.map((_, index) => `bad-${index}`))
  })

  it('is refused before the end, and when no row failed', async () => {
    const made = await whilePaused(async () => {
      const open = await ann.run(lines(10))
      expect((await ann.call(`/v1/batches/${open.id}/retry`, { method: 'POST' })).status).toBe(409)
      return open
    })
    await ann.ended(made.id)
    expect((await ann.call(`/v1/batches/${made.id}/retry`, { method: 'POST' })).status).toBe(409)
  })
})

describe('files and batches of another API key', () => {
  it('are not found', async () => {
    const batch = await ann.ended((await ann.run(lines(3))).id)
    const { input_file_id: input, output_file_id: output } = batch
    const paths = [
      `GET /v1/files/${input}`,
      `GET /v1/files/${input}/content`,
      `GET /v1/files/${output}/content`,
      `DELETE /v1/files/${input}`,
      `GET /v1/batches/${batch.id}`,
      `GET /v1/batches/${batch.id}/results`,
      `POST /v1/batches/${batch.id}/cancel`,
      `POST /v1/batches/${batch.id}/retry`,
    ]
    // The place of an id in another list is the time in it.
    for (const path of [`/v1/batches?after=${batch.id}`, `/v1/files?after=${input}`]) {
      const { data } = await bob.ask<{ data: { id: string }[] }>(path)
      expect(data.map(({ id }) => id)).not.toContain(path.split('=')[1])
    }
    for (const each of paths) {
      const [method = '', path = ''] = each.split(' ')
      const response = await bob.call(path, { method })
      expect([each, response.status, Object.keys((await response.json()) as object)]).toEqual([each, 404, ['error']])
    }
    expect(
      (await bob.call('/v1/batches', { json: { input_file_id: input, endpoint: '/predict', completion_window: '1h' } }))
        .status,
    ).toBe(404)
    const listed = await bob.ask<{ data: { id: string }[] }>('/v1/files')
    expect(ids(listed.data.map(({ id }) => ({ custom_id: id })))).not.toContain(input)
    expect((await fetch(`${stack.url}/v1/batches`)).status).toBe(401)
  })
})
