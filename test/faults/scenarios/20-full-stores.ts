import { Redis } from 'ioredis'
import { BatchCaller, lines } from '../../helpers/batches.ts'
import { waitFor } from '../../helpers/wait-for.ts'
import { answeredAfter, ask } from '../runner/calls.ts'
import { megabytes, seconds } from '../runner/figures.ts'
import type { Scenario } from '../runner/scenario.ts'

const MB = 1_048_576
const LIMIT = 4 * MB

export const scenario: Scenario = {
  promise: 'Uploads stop before the store of files or Redis is full, and deletions always work: then all goes on.',
  async run({ pick, start, onEnd }) {
    const cluster = await start({ apiEnv: { MAX_STORED_BYTES_PER_KEY: `${LIMIT / MB}mb`, RESULT_TTL: '1h' } })
    const { url } = cluster
    const redis = new Redis(cluster.redis.url)
    onEnd(() => redis.disconnect())
    const caller = new BatchCaller(url)
    const running = await caller.run(lines(pick(300, 3_000)))
    const uploads: string[] = []
    let [refused, stored] = [0, 0]
    const upload = async () => {
      const response = await caller.upload(`${JSON.stringify({ filler: 'x'.repeat(500_000) })}\n`)
      const { id, bytes = 0 } = (await response.json()) as { id: string; bytes?: number }
      if (response.status === 200) {
        uploads.push(id)
        stored += bytes
      } else if (response.status === 507) refused += 1
      return response.status
    }
    while (refused < 5 && uploads.length < 100) await upload()
    const batch = await caller.ended(running.id, 120_000)
    const erased = await Promise.all(uploads.map((id) => caller.call(`/v1/files/${id}`, { method: 'DELETE' })))
    let since = Date.now()
    await waitFor('an upload to be accepted', async () => (await upload()) === 200, { within: 60_000 })
    const filesBack = Date.now() - since

    const predictions = Array.from({ length: 20 }, () =>
      ask(`${url}/v1/predictions`, { json: { input: { text: 'a' } } }),
    )
    const ids = (await Promise.all(predictions)).map(({ body }) => (body as { id: string }).id)
    await redis.config('SET', 'maxmemory', String(MB))
    const submit = () => ask(`${url}/v1/predictions`, { json: { input: { text: 'a' } } })
    await waitFor('a refusal', async () => (await submit()).status === 429)
    const removed = await Promise.all(ids.map((id) => ask(`${url}/v1/predictions/${id}`, { method: 'DELETE' })))
    await redis.config('SET', 'maxmemory', '0')
    since = Date.now()
    await waitFor('a prediction to be accepted', async () => (await submit()).status === 202)
    const redisBack = Date.now() - since
    await answeredAfter(url, since)
    const failed = [...erased.map(({ ok }) => ok), ...removed.map(({ status }) => status === 204)].filter((ok) => !ok)
    return {
      faults: `uploads above a limit of ${megabytes(LIMIT)}; Redis with more data than its maxmemory`,
      figure: `stored ${megabytes(stored)} of ${megabytes(LIMIT)}, refused ${refused}; the running batch is ${batch.status}; deletions ${erased.length + removed.length}, failed ${failed.length}; accepted again after ${seconds(filesBack)} (files) and ${seconds(redisBack)} (Redis)`,
      checks: [
        ['an upload was refused', refused > 0 && uploads.length > 0],
        [`the batch is ${batch.status}`, batch.status === 'completed'],
        [`${failed.length} deletions failed`, failed.length === 0],
        ['a process ended', cluster.crashes === 0],
      ],
    }
  },
}
