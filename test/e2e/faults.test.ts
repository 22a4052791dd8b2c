// Faults in detail: processes that stop, a worker that is missing, a deadline. The scenarios of test/faults have the others.
import { afterEach, describe, expect, it } from 'vitest'
import { emptyRedis } from '../helpers/redis.ts'
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
const predict = (stack: Stack) => fetch(`${stack.url}/predict?text=hello`)
const submit = (stack: Stack, input: unknown, headers: Record<string, string> = {}) =>
  fetch(`${stack.url}/v1/predictions`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', ...headers },
    body: JSON.stringify({ input }),
  })

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

describe('a worker', () => {
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

describe('a client', () => {
  it('gets 504 at its deadline, and the job does not run afterwards', async () => {
    const stack = await stackOn(await emptyRedis(), { apiEnv: { WAIT_TIMEOUT: '500ms' } })
    stack.workers[0]?.child.kill('SIGSTOP')
    stops.push(async () => stack.workers[0]?.child.kill('SIGCONT'))
    const response = await predict(stack)
    expect([response.status, ((await response.json()) as { error_type: string }).error_type]).toEqual([504, 'Timeout'])
    await waitFor('the job to be dropped', queueIsEmpty(stack))
  })
})
