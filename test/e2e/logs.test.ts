// The log alone explains an outage: what went away, what was refused for it, and when it came back.
import { afterEach, expect, it } from 'vitest'
import { ownRedis } from '../helpers/redis.ts'
import { startStack } from '../helpers/stack.ts'
import { waitFor } from '../helpers/wait-for.ts'

const stops: Array<() => Promise<unknown>> = []
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop()
})

it('names the worker that vanished, the refusals with model and reason, and the return of worker and Redis', async () => {
  const redis = await ownRedis()
  stops.push(redis.stop)
  const stack = await startStack({ redisUrl: redis.url, workerEnv: { MODELS: 'tiny-fp32' } })
  stops.push(stack.stop)
  const { api, workers, url } = stack
  const logged = (message: string) => api.logs().filter(({ msg }) => String(msg).startsWith(message))
  expect(api.lines.join('\n')).not.toContain('enableOfflineQueue')
  expect(workers[0]?.lines.join('\n')).not.toContain('enableOfflineQueue')

  workers[0]?.child.kill('SIGKILL')
  await waitFor('the worker to vanish', () => logged('a worker vanished').length > 0)
  await waitFor('its model without a worker', () => logged('no live worker serves the model').length > 0)
  expect(logged('no live worker serves the model')).toMatchObject([{ level: 40, model: 'tiny-fp32' }])
  expect((await fetch(`${url}/predict?text=a+secret`)).status).toBe(503)
  await waitFor('the line of the request', () => logged('request').some(({ route }) => route === '/predict'))
  const refusal = logged('request').find(({ route }) => route === '/predict')
  expect(refusal).toMatchObject({ model: 'tiny-fp32', detail: 'no live worker serves "tiny-fp32"' })
  expect(api.lines.join('\n')).not.toContain('secret')
  await stack.addWorker()
  await waitFor('the return of the model', () => logged('a worker serves the model again').length > 0)

  await redis.server.stop()
  await waitFor('the outage of Redis', () => logged('Redis is away').length > 0)
  await redis.server.start()
  await waitFor('its return', () => logged('Redis is back').length > 0)
}, 90_000)

it('is JSON alone, also while many calls with many texts wait', async () => {
  const redis = await ownRedis()
  stops.push(redis.stop)
  const stack = await startStack({ redisUrl: redis.url, workerEnv: { MODELS: 'tiny-fp32' } })
  stops.push(stack.stop)
  const call = (caller: number) =>
    fetch(`${stack.url}/predict`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ inputs: Array.from({ length: 800 }, (_, index) => `text ${caller} ${index}`) }),
    })
  await Promise.all(Array.from({ length: 30 }, (_, caller) => call(caller).then((response) => response.text())))
  for (const { lines } of [stack.api, ...stack.workers])
    expect(lines.filter((line) => !line.startsWith('{'))).toEqual([])
})

it('has a bounded number of lines for a flood of refusals, and counts the others', async () => {
  const redis = await ownRedis()
  stops.push(redis.stop)
  const stack = await startStack({ redisUrl: redis.url, workerEnv: { MODELS: 'tiny-fp32' } })
  stops.push(stack.stop)
  const calls = Array.from({ length: 300 }, () => fetch(`${stack.url}/v1/predictions/none`))
  const answers = await Promise.all(calls)
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([404]))
  const lines = () => stack.api.logs().filter(({ status }) => status === 404)
  const counted = () => lines().reduce((sum, { left_out: leftOut = 1 }) => sum + Number(leftOut), 0)
  await waitFor('the count of all', () => counted() === 300)
  // A second of the log has lines of at most two seconds of the limit.
  const seconds = new Map<string, number>()
  for (const { time } of lines()) {
    const second = String(time).slice(0, 19)
    seconds.set(second, (seconds.get(second) ?? 0) + 1)
  }
  expect(Math.max(...seconds.values())).toBeLessThanOrEqual(12)
})
