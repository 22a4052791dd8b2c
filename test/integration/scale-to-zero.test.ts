// What an autoscaler sees of a model without a worker: the number that the Helm chart reads is above 0 while a prediction
// waits, and 0 when a worker has computed it.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { WorkerService } from '../../src/worker/service.ts'
import { type StartedApi, startApi } from '../helpers/api.ts'
import { emptyRedis } from '../helpers/redis.ts'
import { waitFor } from '../helpers/wait-for.ts'
import { createWorker, standIn } from '../helpers/worker.ts'

let redisUrl: string
let filesDir: string
let api: StartedApi
const workers: WorkerService[] = []

beforeAll(async () => {
  redisUrl = await emptyRedis()
  filesDir = mkdtempSync(join(tmpdir(), 'inferq-files-'))
  api = await startApi(redisUrl, { FILES_URL: pathToFileURL(filesDir).href, DEFAULT_MODEL: 'tiny-fp32' })
})
afterAll(async () => {
  await Promise.all(workers.map((worker) => worker.stop()))
  await api.stop()
  rmSync(filesDir, { recursive: true, force: true })
})

async function startWorker(): Promise<WorkerService> {
  const worker = createWorker(redisUrl, standIn)
  workers.push(worker)
  await worker.start()
  await waitFor('the model', async () => (await fetch(`${api.url}/health`)).ok)
  return worker
}

/** The value of `models.tiny-fp32.work_seconds.async` in /v1/queue. */
async function workThatWaits(): Promise<number> {
  const { models } = (await (await fetch(`${api.url}/v1/queue`)).json()) as {
    models: Record<string, { work_seconds: { async: number } }>
  }
  return models['tiny-fp32']?.work_seconds.async ?? Number.NaN
}

it('starts a worker for a prediction of a known model, and none without work', async () => {
  await (await startWorker()).stop()
  await waitFor('no live worker', async () => !(await fetch(`${api.url}/health`)).ok)
  expect(await workThatWaits()).toBe(0)
  const created = await fetch(`${api.url}/v1/predictions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', prefer: 'respond-async' },
    body: JSON.stringify({ input: { text: 'it waits for a worker' } }),
  })
  expect(created.status).toBe(202)
  const { id } = (await created.json()) as { id: string }
  expect(await workThatWaits()).toBeGreaterThan(0)
  await startWorker()
  await waitFor('its end', async () => {
    const { status } = (await (await fetch(`${api.url}/v1/predictions/${id}`)).json()) as { status: string }
    return status === 'succeeded'
  })
  await waitFor('no work', async () => (await workThatWaits()) === 0)
})
