// An api killed at steps of a create. Each command of the request to Redis is a step: the api is killed when it sends it, and
// the same request is repeated at another api.
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { freePort } from '../../src/launcher/ports.ts'
import { publishModel } from '../../src/records/models.ts'
import { cuttingProxy } from '../helpers/cutting-proxy.ts'
import { MODEL_RECORD } from '../helpers/records.ts'
import { ownRedis } from '../helpers/redis.ts'
import { type Stack, startStack } from '../helpers/stack.ts'
import { type StartedProcess, startProcess } from '../helpers/start-process.ts'

/** Each step starts a process. */
const DEADLINE_MS = 600_000
/** More than any request needs. */
const MAX_STEPS = 40
/** Each step takes a second or two: KILL_STRIDE=1 takes all of them. */
const STRIDE = Number(process.env['KILL_STRIDE'] ?? 3)

let server: Awaited<ReturnType<typeof ownRedis>>
let stack: Stack
let redis: Redis
beforeAll(async () => {
  server = await ownRedis()
  redis = new Redis(server.url)
  await publishModel(redis, MODEL_RECORD)
  stack = await startStack({ redisUrl: server.url, workers: 0, apiEnv: { DEFAULT_MODEL: 'm' } })
})
afterAll(async () => {
  redis?.disconnect()
  await stack?.stop()
  await server?.stop()
})

type Send = (url: string, step: number) => Promise<Response>
interface Step {
  step: number
  /** The answer to the repeat. */
  body: { id: string; file?: { id: string } }
}

/**
 * Kills an api at its first command for this owner, then at later ones, until the request ends first.
 * @returns the repeats, each of which may have to wait until the dead api no longer holds an upload.
 */
async function killedAtSteps(send: Send, stride = STRIDE): Promise<Step[]> {
  const repeats: Promise<Step>[] = []
  for (let step = 1, wasKilled = true; wasKilled; step += stride) {
    if (step > MAX_STEPS) throw new Error('the request does not end')
    wasKilled = await sendAndKill(send, step)
    const repeat = repeated(send, step)
    repeat.catch(() => undefined)
    repeats.push(repeat)
  }
  return Promise.all(repeats)
}

async function repeated(send: Send, step: number): Promise<Step> {
  const repeat = await send(stack.url, step)
  const body = (await repeat.json()) as Step['body']
  expect([200, 201, 202], `step ${step}: ${JSON.stringify(body)}`).toContain(repeat.status)
  return { step, body }
}

/** @returns whether the api was killed before it answered. */
async function sendAndKill(send: Send, step: number): Promise<boolean> {
  const proxy = await cuttingProxy(server.url)
  let api: StartedProcess | undefined
  try {
    const port = await freePort()
    api = await startProcess(fileURLToPath(new URL('../../dist/api/main.js', import.meta.url)), {
      env: {
        REDIS_URL: `redis://127.0.0.1:${proxy.port}`,
        PORT: String(port),
        DEFAULT_MODEL: 'm',
        ADMIN_PASSWORD: 'test-password',
        FILES_URL: pathToFileURL(stack.filesDir).href,
        LOG_LEVEL: 'warn',
      },
      readyUrl: `http://127.0.0.1:${port}/readyz`,
      within: 120_000,
    })
    let wasKilled = false
    const { child, ended } = api
    proxy.arm('public', step, () => {
      wasKilled = true
      child.kill('SIGKILL')
    })
    await send(`http://127.0.0.1:${port}`, step).catch(() => undefined)
    if (wasKilled) await ended
    return wasKilled
  } finally {
    api?.child.kill('SIGKILL')
    await proxy.stop()
  }
}

const json = (key: string, body: object) => ({
  method: 'POST',
  headers: { 'Content-Type': 'application/json', 'Idempotency-Key': key },
  body: JSON.stringify(body),
})
const get = async (path: string) => {
  const response = await fetch(`${stack.url}${path}`)
  return { status: response.status, text: await response.text() }
}
const idsOf = async (path: string): Promise<string[]> => {
  const { data } = JSON.parse((await get(`${path}?limit=100`)).text) as { data: { id: string }[] }
  return data.map(({ id }) => id)
}

describe('an api killed at a step', () => {
  it(
    'of an upload leaves at most bytes that the sweep removes, and the repeat stores the file',
    async () => {
      const send: Send = (url, step) => {
        const form = new FormData()
        form.set('purpose', 'batch')
        form.set('file', new Blob([`text of step ${step}`]), 'a.jsonl')
        return fetch(`${url}/v1/files`, { method: 'POST', headers: { 'Idempotency-Key': `file ${step}` }, body: form })
      }
      const steps = await killedAtSteps(send)
      for (const { step, body } of steps)
        expect((await get(`/v1/files/${body.id}/content`)).text).toBe(`text of step ${step}`)
      expect(steps.at(-1)?.step).toBeGreaterThan(3)
      expect((await idsOf('/v1/files')).sort()).toEqual(steps.map(({ body }) => body.id).sort())
      // What is stored without a record has an expiration.
      const expirations = await redis.zrange('inferq:r:expirations', 0, '-1')
      for (const name of readdirSync(join(stack.filesDir, 'files'))) expect(expirations).toContain(`files/${name}`)
    },
    DEADLINE_MS,
  )

  it(
    'of an upload in parts leaves at most bytes that expire, and the repeat goes on',
    async () => {
      const begin = (url: string, step: number) =>
        fetch(
          `${url}/v1/uploads`,
          json(`upload ${step}`, { filename: 'a', bytes: 8, mime_type: 'a', purpose: 'batch' }),
        )
      const idOf = async (step: number) => ((await (await begin(stack.url, step)).json()) as { id: string }).id
      const add = async (url: string, step: number) => {
        const form = new FormData()
        form.set('data', new Blob([`part ${String(step).padStart(3)}`]), 'part')
        return fetch(`${url}/v1/uploads/${await idOf(step)}/parts`, { method: 'POST', body: form })
      }
      // After its completion an upload takes no parts.
      const parts = new Map<number, string>()
      const partOf = async (step: number) => {
        const id = parts.get(step) ?? ((await (await add(stack.url, step)).json()) as { id: string }).id
        parts.set(step, id)
        return id
      }
      const complete: Send = async (url, step) =>
        fetch(
          `${url}/v1/uploads/${await idOf(step)}/complete`,
          json(`complete ${step}`, { part_ids: [await partOf(step)] }),
        )
      const before = (await idsOf('/v1/files')).length
      for (const { step, body } of await killedAtSteps(begin)) expect(body.id).toBe(await idOf(step))
      for (const { step, body } of await killedAtSteps(add)) expect(body.id).toBe(await partOf(step))
      const completed = await killedAtSteps(complete, 2 * STRIDE)
      for (const { step, body } of completed)
        expect((await get(`/v1/files/${body.file?.id}/content`)).text).toBe(`part ${String(step).padStart(3)}`)
      expect(completed.at(-1)?.step).toBeGreaterThan(16)
      expect(await idsOf('/v1/files')).toHaveLength(before + completed.length)
      const expirations = await redis.zrange('inferq:r:expirations', 0, '-1')
      for (const name of readdirSync(join(stack.filesDir, 'parts'))) expect(expirations).toContain(`parts/${name}`)
    },
    DEADLINE_MS,
  )

  it(
    'of a batch leaves no second batch, and the repeat gets one that has its job',
    async () => {
      const send: Send = (url, step) => {
        const requests = [{ custom_id: 'a', body: { inputs: `text ${step}` } }]
        const body = { requests, endpoint: '/predict', completion_window: '1h' }
        return fetch(`${url}/v1/batches`, json(`batch ${step}`, body))
      }
      const steps = await killedAtSteps(send)
      expect(steps.at(-1)?.step).toBeGreaterThan(5)
      expect((await idsOf('/v1/batches')).sort()).toEqual(steps.map(({ body }) => body.id).sort())
      for (const { body } of steps) {
        const key = `inferq:q:batches:public_${body.id.replace('batch_', '')}`
        expect(await redis.exists(key), key).toBe(1)
      }
    },
    DEADLINE_MS,
  )

  it(
    'of a prediction leaves no second prediction, and the repeat gets one that has its job',
    async () => {
      const send: Send = (url, step) =>
        fetch(`${url}/v1/predictions`, json(`prediction ${step}`, { input: { text: `text ${step}` } }))
      const steps = await killedAtSteps(send)
      expect(steps.at(-1)?.step).toBeGreaterThan(2)
      const { results } = JSON.parse((await get('/v1/predictions')).text) as { results: { id: string }[] }
      expect(results.map(({ id }) => id).sort()).toEqual(steps.map(({ body }) => body.id).sort())
      for (const { body } of steps) expect(await redis.exists(`inferq:q:m-async:public_${body.id}`)).toBe(1)
    },
    DEADLINE_MS,
  )
})
