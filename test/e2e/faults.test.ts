// Faults: no client hangs, no accepted work is lost, and everything recovers without intervention.
import { afterEach, describe, expect, it } from 'vitest'
import type { RedisServer } from '../../src/launcher/redis-server.ts'
import { emptyRedis, ownRedis } from '../helpers/redis.ts'
import { type Stack, startStack } from '../helpers/stack.ts'
import { waitFor } from '../helpers/wait-for.ts'

const stops: Array<() => Promise<unknown>> = []
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop()
})

/** One model makes a worker start faster. */
const ONE_MODEL = { MODELS: 'tiny-fp32' }

async function stackOn(redisUrl: string, options: Partial<Parameters<typeof startStack>[0]> = {}): Promise<Stack> {
  const stack = await startStack({ redisUrl, workerEnv: ONE_MODEL, ...options })
  stops.push(stack.stop)
  return stack
}
async function redisOfOurOwn(): Promise<{ server: RedisServer; url: string }> {
  const redis = await ownRedis()
  stops.push(redis.stop)
  return redis
}
const predict = (stack: Stack) => fetch(`${stack.url}/predict?text=hello`)
const submit = (stack: Stack, input: unknown, headers: Record<string, string> = {}) =>
  fetch(`${stack.url}/v1/predictions`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', ...headers },
    body: JSON.stringify({ input }),
  })
const works = (stack: Stack) => async () => (await predict(stack)).status === 200

interface Found {
  id: string
  status: string
  output: unknown[] | null
  urls: { get: string; cancel: string }
}
const find = async (url: string) => (await (await fetch(url)).json()) as Found
async function submitted(stack: Stack, input: unknown): Promise<Found> {
  const response = await submit(stack, input)
  expect(response.status).toBe(202)
  return (await response.json()) as Found
}
const ended = (url: string) => async () => {
  const found = await find(url)
  return ['succeeded', 'failed', 'canceled'].includes(found.status) && found
}
const queueIsEmpty = (stack: Stack) => async () => {
  const { models } = (await (await fetch(`${stack.url}/v1/queue`)).json()) as {
    models: Record<string, { active: number; depth: { interactive: number } }>
  }
  const queue = models['tiny-fp32']
  return queue?.active === 0 && queue.depth.interactive === 0
}
/** Enough work for several seconds. */
const muchWork = { inputs: Array.from({ length: 250 }, (_each, index) => `${index} ${'a '.repeat(500)}`) }

describe('Redis', () => {
  it('stops during operation: 503, the processes live, and continue with the old data when it is back', async () => {
    const { server, url } = await redisOfOurOwn()
    const stack = await stackOn(url)
    expect((await predict(stack)).status).toBe(200)
    const before = await submitted(stack, { text: 'kept' })
    await waitFor('the first prediction', ended(before.urls.get))
    await server.stop()
    const answers = await Promise.all([predict(stack), fetch(`${stack.url}/readyz`), fetch(before.urls.get)])
    expect(answers.map(({ status }) => status)).toEqual([503, 503, 503])
    expect((await fetch(`${stack.url}/livez`)).status).toBe(200)
    await server.start()
    await waitFor('predictions after Redis is back', works(stack))
    expect((await find(before.urls.get)).status).toBe('succeeded')
    expect(stack.api.child.exitCode).toBeNull()
    expect(stack.workers[0]?.child.exitCode).toBeNull()
  })

  it('hangs without closing a socket: 503, and everything continues when it resumes', async () => {
    const { server, url } = await redisOfOurOwn()
    const stack = await stackOn(url)
    const pid = server.pid as number
    process.kill(pid, 'SIGSTOP')
    stops.push(async () => void process.kill(pid, 'SIGCONT'))
    expect((await predict(stack)).status).toBe(503)
    expect((await fetch(`${stack.url}/livez`)).status).toBe(200)
    process.kill(pid, 'SIGCONT')
    await waitFor('predictions after Redis resumes', works(stack))
  })

  it('is unreachable at the start: both processes start, report it, and work once it is up', async () => {
    const { server, url } = await redisOfOurOwn()
    await server.stop()
    const stack = await stackOn(url, { workers: 0 })
    expect((await fetch(`${stack.url}/readyz`)).status).toBe(503)
    expect((await predict(stack)).status).toBe(503)
    const worker = stack.addWorker()
    await server.start()
    await worker
    await waitFor('predictions', works(stack))
  })

  it('is killed and restarted: every accepted prediction exists and ends', async () => {
    const { server, url } = await redisOfOurOwn()
    const stack = await stackOn(url, { workers: 0 })
    const first = await stack.addWorker()
    await first.stop()
    const accepted = await Promise.all(
      Array.from({ length: 50 }, (_each, index) => submitted(stack, { text: `${index}` })),
    )
    process.kill(server.pid ?? 0, 'SIGKILL')
    await server.stop()
    await server.start()
    await stack.addWorker()
    for (const { urls } of accepted) {
      expect((await waitFor('each to end', ended(urls.get))).status).toBe('succeeded')
    }
  })
})

describe('a worker', () => {
  it('is killed during a job: another worker finishes it', async () => {
    const stack = await stackOn(await emptyRedis())
    const [victim] = stack.workers
    const { urls } = await submitted(stack, muchWork)
    await waitFor('the job to run', async () => (await find(urls.get)).status === 'processing')
    victim?.child.kill('SIGKILL')
    await stack.addWorker()
    const done = await waitFor('the job to end on the other worker', ended(urls.get), { within: 40_000 })
    expect([done.status, done.output?.length]).toEqual(['succeeded', 250])
  })

  it('gets SIGTERM during a job: it hands back unfinished jobs, and exits with 0', async () => {
    const stack = await stackOn(await emptyRedis(), { workerEnv: { SHUTDOWN_GRACE: '6s' } })
    const [first] = stack.workers
    const many = await Promise.all(Array.from({ length: 6 }, () => submitted(stack, muchWork)))
    await waitFor('a job to run', async () => (await find(many[0]?.urls.get ?? '')).status !== 'starting')
    const exit = first?.stop()
    await stack.addWorker({ SHUTDOWN_GRACE: '30s' })
    expect(await exit).toBe(0)
    for (const { urls } of many) {
      expect((await waitFor('each to end', ended(urls.get), { within: 40_000 })).status).toBe('succeeded')
    }
  })

  it('is missing: a plain call gets a 503 with the reason, a prediction waits', async () => {
    const stack = await stackOn(await emptyRedis())
    await stack.workers[0]?.stop()
    await waitFor('the api to notice', async () => (await fetch(`${stack.url}/health`)).status === 503)
    const refused = await predict(stack)
    expect([refused.status, ((await refused.json()) as { detail: string }).detail]).toEqual([
      503,
      'no live worker serves "tiny-fp32"',
    ])
    const { urls } = await submitted(stack, { text: 'patient' })
    await stack.addWorker()
    expect((await waitFor('the prediction', ended(urls.get))).status).toBe('succeeded')
  })
})

describe('an api', () => {
  it('gets SIGTERM: it answers open requests, accepts no new connections, and exits with 0', async () => {
    const stack = await stackOn(await emptyRedis())
    const waiting = submit(stack, muchWork, { Prefer: 'wait=20' })
    await waitFor('the job to exist', async () => {
      const { results } = (await (await fetch(`${stack.url}/v1/predictions`)).json()) as { results: Found[] }
      return results.length > 0
    })
    const exit = stack.api.stop()
    expect((await waiting).status).toBe(201)
    expect(await exit).toBe(0)
    await expect(predict(stack)).rejects.toThrow('fetch failed')
  })
})

describe('cancel', () => {
  it('stops a running prediction on any worker, and a waiting one never runs', async () => {
    const stack = await stackOn(await emptyRedis(), { workers: 2 })
    const jobs = await Promise.all(Array.from({ length: 6 }, () => submitted(stack, muchWork)))
    await waitFor('some to run', async () => (await find(jobs[0]?.urls.get ?? '')).status === 'processing')
    for (const { urls } of jobs) {
      const response = await fetch(urls.cancel, { method: 'POST' })
      expect(response.status).toBe(200)
      expect(((await response.json()) as Found).status).toBe('canceled')
    }
    await waitFor('the queue to be empty', queueIsEmpty(stack))
    for (const { urls } of jobs) expect(await find(urls.get)).toMatchObject({ status: 'canceled', output: null })
  })
})

describe('a client', () => {
  it('gets 504 at its deadline, and the job does not run afterwards', async () => {
    const stack = await stackOn(await emptyRedis(), { apiEnv: { WAIT_TIMEOUT: '500ms' } })
    stack.workers[0]?.child.kill('SIGSTOP')
    stops.push(async () => stack.workers[0]?.child.kill('SIGCONT'))
    const response = await predict(stack)
    expect([response.status, ((await response.json()) as { error_type: string }).error_type]).toEqual([504, 'Timeout'])
    await waitFor('the job to be dropped', queueIsEmpty(stack))
  })

  it('gets 429 with Retry-After when too many calls wait', async () => {
    const stack = await stackOn(await emptyRedis(), { apiEnv: { MAX_WAITING: '4', WAIT_TIMEOUT: '3s' } })
    stack.workers[0]?.child.kill('SIGSTOP')
    stops.push(async () => stack.workers[0]?.child.kill('SIGCONT'))
    const calls: Promise<Response>[] = []
    for (let sent = 0; sent < 8; sent += 1) {
      calls.push(predict(stack))
      await waitFor('the call to be admitted or refused', async () => {
        const metrics = await (await fetch(`${stack.url}/metrics`)).text()
        return metrics.includes(`inferq_waiting_calls ${Math.min(sent + 1, 4)}\n`)
      })
    }
    const answers = await Promise.all(calls)
    const refused = answers.filter(({ status }) => status === 429)
    expect(refused.length).toBeGreaterThan(0)
    expect(Number(refused[0]?.headers.get('retry-after'))).toBeGreaterThanOrEqual(1)
    expect(answers.filter(({ status }) => status === 504).length).toBeGreaterThanOrEqual(4)
  })
})
