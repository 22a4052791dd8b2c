// Batches on a real Redis with a scripted model: poison texts, take-over, retries and leftovers.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { FoundBatch } from '../../src/batches/batch.ts'
import { Batches } from '../../src/batches/batches.ts'
import { Coordinator } from '../../src/batches/coordinator.ts'
import type { Endpoints } from '../../src/batches/endpoints.ts'
import { EventLoopTurns } from '../../src/batches/event-loop-turns.ts'
import { FetchedInputs } from '../../src/batches/files/fetched-inputs.ts'
import { Files } from '../../src/batches/files/files.ts'
import { failBatch } from '../../src/batches/finish.ts'
import { CountedObjects } from '../../src/batches/storage/counted-objects.ts'
import { DirectoryStore } from '../../src/batches/storage/directory-store.ts'
import { DiskSpace } from '../../src/batches/storage/disk-space.ts'
import { StorageQuota } from '../../src/batches/storage/quota.ts'
import { AppError, notFound } from '../../src/errors.ts'
import { createLogger } from '../../src/logger.ts'
import { PlaceQueue } from '../../src/predict/place-queue.ts'
import { isFailed } from '../../src/queue/job.ts'
import { queueName } from '../../src/queue/names.ts'
import { readExpired } from '../../src/records/expirations.ts'
import { closeConnection, consumerConnection } from '../../src/redis/connection.ts'
import { parsed } from '../helpers/batches.ts'
import { Caller } from '../helpers/caller.ts'
import { ownRedis } from '../helpers/redis.ts'
import { waitFor } from '../helpers/wait-for.ts'
import { createWorker, standIn } from '../helpers/worker.ts'

const MODEL = 'tiny-fp32'
let redis: Awaited<ReturnType<typeof ownRedis>>
let worker: ReturnType<typeof createWorker>
let dir: string
let unknownVersions = 0
const ROOM = { free: 1e9, size: 1e9 }
let readDisk = async () => ROOM
const stops: (() => Promise<unknown>)[] = []

beforeAll(async () => {
  redis = await ownRedis()
  worker = createWorker(redis.url, standIn)
  await worker.start()
})
afterAll(async () => {
  await worker?.stop()
  await redis?.stop()
})
beforeEach(() => {
  readDisk = async () => ROOM
  dir = mkdtempSync(join(tmpdir(), 'inferq-batches-'))
})
afterEach(async () => {
  for (const stop of stops.splice(0).toReversed()) await stop()
  rmSync(dir, { recursive: true, force: true })
})

/** `{"text": …}` is answered with its first logit, which is its length. */
const endpoints: Endpoints = {
  read: (_endpoint, body) => {
    const { text } = body as { text?: unknown }
    if (typeof text !== 'string') throw new AppError('Validation', 422, 'there is no text')
    const answer = ([row]: Parameters<ReturnType<Endpoints['read']>['answer']>[0]) => {
      if (row && !isFailed(row)) return row.logits[0]
      throw new AppError('Backend', 424, row?.error.message ?? 'no row')
    }
    return { model: undefined, items: [{ text }], truncate: 'right', answer }
  },
  target: (model) =>
    model === undefined ? Promise.resolve({ model: MODEL }) : Promise.reject(notFound('no such model')),
  estimate: ({ items }) => ({ tokens: items.map(() => 1), work: 0 }),
  chunkTokens: () => 1_000_000,
  cost: () => ({ work: 1, ms: 1 }),
  labels: () => Promise.resolve({ labels: ['a'] } as never),
}

interface Api {
  caller: Caller
  files: Files
  batches: Batches
  coordinator: Coordinator
  ended: FoundBatch['id'][]
}

async function startApi(): Promise<Api> {
  const caller = await new Caller(redis.url, MODEL).start()
  const store = new DirectoryStore(dir, new DiskSpace(dir, 1_000, () => readDisk()))
  const { redis: connection, producer } = caller
  const onError = () => undefined
  const quota = new StorageQuota(connection, { all: 1e9, owner: 1e9 })
  const objects = new CountedObjects({ redis: connection, store, quota })
  const files = new Files({ redis: connection, store, quota, objects, ttl: 60_000 })
  const batches = new Batches({
    redis: connection,
    producer,
    store,
    files,
    quota,
    ttl: 60_000,
    maxLineBytes: 10_000,
    onError,
    maxOpen: 1_000,
    weightOf: () => 1,
    owners: () => 1,
  })
  const ended: FoundBatch['id'][] = []
  const consumer = consumerConnection({ redisUrl: redis.url }, () => undefined)
  const coordinator = new Coordinator({
    redis: connection,
    store,
    quota,
    inputs: new FetchedInputs({
      redis: connection,
      files,
      objects,
      policy: { allow: [], setting: 'NONE' },
      maxBytes: 1,
      places: new PlaceQueue(1),
      onOutcome: () => undefined,
    }),
    connection: consumer,
    endpoints,
    limits: {
      maxLines: 10_000,
      maxLineBytes: 10_000,
      body: { depth: 16, entries: 100, fields: 64, values: 1_000, advice: '' },
    },
    turns: new EventLoopTurns(),
    expectedEnd: () => {
      throw new Error('no batch has a deadline')
    },
    batchTtl: 60_000,
    logger: createLogger('api', 'silent'),
    sender: {
      producer,
      waiters: caller.waiters,
      replyTo: caller.id,
      room: () => 2_000,
      weightOf: () => 1,
      stopChunks: async () => undefined,
      hasRoom: () => true,
      onError: () => undefined,
    },
    blockWork: () => 2_000,
    places: { validation: new PlaceQueue(4), run: new PlaceQueue(100) },
    onEnd: (id) => void ended.push(id),
    onRows: () => undefined,
    onUnknownVersion: () => (unknownVersions += 1),
    onError: () => undefined,
  })
  await coordinator.start()
  let stopped: Promise<void> | undefined
  const stop = () => (stopped ??= coordinator.stop().then(() => closeConnection(consumer)))
  stops.push(() => caller.stop(), stop)
  return { caller, files, batches, coordinator, ended }
}

const ASKED = {
  endpoint: '/x',
  window: '1h',
  windowMs: 3_600_000,
  metadata: null,
  outputTtl: undefined,
  hash: 'x',
}
const create = ({ batches }: Api, texts: string[]) =>
  batches.create('public', undefined, ASKED, { lines: () => linesOf(texts), name: 'in' })
async function* each(text: string): AsyncGenerator<string> {
  yield text
}
async function* linesOf(texts: string[]): AsyncGenerator<string> {
  for (const [index, text] of texts.entries()) yield `${JSON.stringify({ custom_id: `${index}`, body: { text } })}\n`
}
const finished = (api: Api, { id }: FoundBatch) =>
  waitFor('the batch to end', async () => {
    const found = await api.batches.find(id.owner, id.uuid)
    return found.record.ended_at !== undefined && found
  })
async function rowsOf(api: Api, batch: FoundBatch) {
  const pieces: Buffer[] = []
  for await (const piece of await api.batches.results(batch, 0, undefined)) pieces.push(piece)
  return parsed(Buffer.concat(pieces).toString())
}

it('gives a poison text its error, and the other texts their answers', async () => {
  const api = await startApi()
  const texts = Array.from({ length: 150 }, (_, index) => 'x'.repeat(index + 1))
  texts[70] = 'poison'
  texts[90] = 'throw'
  const batch = await finished(api, await create(api, texts))
  expect(batch.record).toMatchObject({ end: 'completed', total: 150, completed: 148, failed: 2 })
  const rows = await rowsOf(api, batch)
  rows.forEach((row, index) => {
    const isBad = index === 70 || index === 90
    // `error` is of requests that got no response.
    expect([index, row.response?.status_code, row.error?.code]).toEqual([index, isBad ? 424 : 200, undefined])
    if (!isBad) expect(row.response?.body).toBe(index + 1)
  })
})

it('calls onEnd once, and leaves no chunk and no job', async () => {
  const api = await startApi()
  const batch = await finished(api, await create(api, ['a', 'b']))
  expect(api.ended).toEqual([batch.id])
  const left = async (queue: string) => {
    const counts = await api.caller.producer.queue(queue).getJobCounts()
    return Object.values(counts).reduce((sum, count) => sum + count, 0)
  }
  await waitFor('the chunks to be removed', async () => (await left(queueName(MODEL, 'bulk'))) === 0)
  await waitFor('the job to be removed', async () => (await left('batches')) === 0)
})

it('is handed back while it runs, and another api continues after the written parts', async () => {
  const first = await startApi()
  const texts = Array.from({ length: 4_000 }, (_, index) => (index % 64 === 0 ? 'slow 25' : `text ${index}`))
  const made = await create(first, texts)
  await waitFor('a part', async () => (await first.batches.find('public', made.id.uuid)).record.completed > 0)
  await first.coordinator.stop()
  const written = await rowsOf(first, made)
  expect(written.length).toBeLessThan(4_000)
  const second = await startApi()
  const batch = await finished(second, made)
  expect(batch.record).toMatchObject({ end: 'completed', total: 4_000, completed: 4_000, failed: 0 })
  const rows = await rowsOf(second, batch)
  expect(rows.map(({ custom_id }) => custom_id)).toEqual(texts.map((_, index) => `${index}`))
  expect(rows.slice(0, written.length)).toEqual(written)
  expect([first.ended, second.ended]).toEqual([[], [batch.id]])
})

it('keeps the rows of a failed batch no longer than the batch', async () => {
  const api = await startApi()
  await api.coordinator.stop()
  const { id } = await create(api, ['a'])
  const batch = `${id.owner}_${id.uuid}`
  const before = Date.now()
  await failBatch({ redis: api.caller.redis, batchTtl: 60_000, onEnd: () => undefined } as never, id)
  expect((await api.batches.find(id.owner, id.uuid)).record.end).toBe('failed')
  expect(await readExpired(api.caller.redis, before + 59_000, 100)).not.toContain(`batches/${batch}`)
  expect(await readExpired(api.caller.redis, Date.now() + 60_001, 100)).toContain(`batches/${batch}`)
})

it('of an unknown version is delayed for another api, and counted', async () => {
  const api = await startApi()
  const before = unknownVersions
  const jobs = api.caller.producer.queue('batches')
  await api.caller.producer.addBatch('newer', { v: 99, batch: 'newer' })
  await waitFor('the job to be delayed', async () => (await jobs.getJobState('newer')) === 'delayed')
  expect(unknownVersions - before).toBe(1)
  await jobs.remove('newer')
})

it.each(['output', 'error'] as const)('whose %s file is erased cannot be read row by row', async (which) => {
  const api = await startApi()
  const batch = await finished(api, await create(api, ['a', 'throw']))
  expect(await rowsOf(api, batch)).toHaveLength(2)
  await api.files.erase(await api.files.find('public', batch.record[which] ?? ''))
  await expect(rowsOf(api, batch)).rejects.toMatchObject({ status: 404 })
  // The other file can still be read.
  const other = await api.files.find('public', batch.record[which === 'output' ? 'error' : 'output'] ?? '')
  const pieces: Buffer[] = []
  for await (const piece of await api.files.content(other)) pieces.push(piece)
  expect(parsed(Buffer.concat(pieces).toString())).toHaveLength(1)
})

describe('a retry of a batch', () => {
  const again = (api: Api, batch: FoundBatch) =>
    api.batches.create('public', undefined, ASKED, api.batches.inputOfRetry(batch, 'again'))
  const given = async (api: Api, { id }: FoundBatch) => {
    await failBatch({ redis: api.caller.redis, batchTtl: 60_000, onEnd: () => undefined } as never, id)
    return api.batches.find(id.owner, id.uuid)
  }

  it('that failed while it ran: the failed rows and those that were never written', async () => {
    const first = await startApi()
    const texts = Array.from({ length: 4_000 }, (_, index) => (index % 64 === 0 ? 'slow 25' : `text ${index}`))
    texts[7] = 'throw'
    const made = await create(first, texts)
    await waitFor('a part', async () => (await first.batches.find('public', made.id.uuid)).record.completed > 0)
    await first.coordinator.stop()
    await first.caller.producer.remove('batches', `public_${made.id.uuid}`)
    const batch = await given(first, made)
    const written = (await rowsOf(first, made)).length
    expect([written > 0, written < 4_000, batch.record.end]).toEqual([true, true, 'failed'])
    const second = await startApi()
    const rows = await rowsOf(second, await finished(second, await again(second, batch)))
    const unwritten = texts.map((_, index) => `${index}`).slice(written)
    expect(rows.map(({ custom_id }) => custom_id)).toEqual(['7', ...unwritten])
  })

  it('that failed before a row was run: all rows', async () => {
    const api = await startApi()
    await api.coordinator.stop()
    const batch = await given(api, await create(api, ['a', 'b']))
    expect((await again(api, batch)).record.input).toBe(batch.record.input)
  })

  it('with a refused file, or without failed rows: nothing', async () => {
    const api = await startApi()
    const input = { lines: () => each('nonsense\n'), name: 'in' }
    const refused = await finished(api, await api.batches.create('public', undefined, ASKED, input))
    expect(() => api.batches.inputOfRetry(refused, 'again')).toThrow('the input file is invalid')
    const answered = await finished(api, await create(api, ['a']))
    expect(() => api.batches.inputOfRetry(answered, 'again')).toThrow('all were answered')
  })

  it('whose output file is erased: the failed rows', async () => {
    const api = await startApi()
    const batch = await finished(api, await create(api, ['a', 'throw']))
    await api.files.erase(await api.files.find('public', batch.record.output ?? ''))
    const rows = await rowsOf(api, await finished(api, await again(api, batch)))
    expect(rows.map(({ custom_id }) => custom_id)).toEqual(['1'])
  })

  it('whose rows are erased: nothing, since the failed rows are unknown', async () => {
    const api = await startApi()
    const batch = await finished(api, await create(api, ['a', 'throw']))
    const { error = '', output = '' } = batch.record
    for (const uuid of [error, output]) await api.files.erase(await api.files.find('public', uuid))
    await expect(again(api, batch)).rejects.toThrow('the rows of this batch no longer exist')
  })
})

it('on a full disk ends when it is cancelled; the rest is in the record, and is what a retry runs', async () => {
  const api = await startApi()
  const texts = Array.from({ length: 2_500 }, (_, index) => `text ${index}`)
  texts[7] = 'throw'
  const { length } = texts
  let reads = 0
  // There is room for the input and one part.
  readDisk = async () => (++reads > 2 ? { free: 100, size: 1e9 } : ROOM)
  const made = await create(api, texts)
  await waitFor('the next part to find the disk full', () => reads > 2)
  const running = await api.batches.find('public', made.id.uuid)
  expect(running.record.ended_at).toBeUndefined()
  await api.batches.cancel(running)
  const batch = await finished(api, made)
  const written = (await rowsOf(api, batch)).length
  expect(written).toBeLessThan(length)
  const { end, total, completed, failed, unwritten_from, errors } = batch.record
  expect({ end, total, all: completed + failed, unwritten_from }).toEqual({
    end: 'cancelled',
    total: length,
    all: length,
    unwritten_from: written,
  })
  expect(JSON.parse(errors ?? '')).toMatchObject([{ code: 'batch_cancelled', line: written + 1 }])
  readDisk = async () => ROOM
  const input = api.batches.inputOfRetry(batch, 'again')
  const rows = await rowsOf(api, await finished(api, await api.batches.create('public', undefined, ASKED, input)))
  const unwritten = texts.map((_, index) => `${index}`).slice(written)
  expect(rows.map(({ custom_id }) => custom_id)).toEqual(['7', ...unwritten])
})

it('is found when its api died before it added the job', async () => {
  const api = await startApi()
  await api.coordinator.stop()
  const made = await create(api, ['a'])
  await api.caller.producer.remove('batches', `public_${made.id.uuid}`)
  const other = await startApi()
  await other.batches.requeueOrphans(Date.now() + 60_000)
  expect((await finished(other, made)).record).toMatchObject({ end: 'completed', completed: 1 })
})
