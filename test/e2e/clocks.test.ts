// Wrong clocks: times are compared on Redis' clock, so a machine whose clock is wrong serves like the others.
import { afterEach, describe, expect, it } from 'vitest'
import { emptyRedis } from '../helpers/redis.ts'
import { shiftedClock } from '../helpers/shifted-clock.ts'
import { type Stack, startStack } from '../helpers/stack.ts'
import { waitFor } from '../helpers/wait-for.ts'

const stops: Array<() => Promise<unknown>> = []
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop()
})

async function stackWith(options: Partial<Parameters<typeof startStack>[0]>): Promise<Stack> {
  const workerEnv = { MODELS: 'tiny-fp32', ...options.workerEnv }
  const stack = await startStack({ redisUrl: options.redisUrl ?? (await emptyRedis()), ...options, workerEnv })
  stops.push(stack.stop)
  return stack
}

async function statuses(url: string, calls: number): Promise<number[]> {
  const answers: number[] = []
  for (let call = 0; call < calls; call += 1) answers.push((await fetch(`${url}/predict?text=hello`)).status)
  return answers
}

async function liveWorkers(url: string): Promise<number> {
  const { workers } = (await (await fetch(`${url}/info`)).json()) as { workers: unknown[] }
  return workers.length
}

interface Shown {
  status: string
  created_at: string
  completed_at: string | null
}

async function submitted(url: string): Promise<string> {
  const response = await fetch(`${url}/v1/predictions`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', Prefer: 'wait' },
    body: JSON.stringify({ input: { text: 'hello' } }),
  })
  expect(response.status).toBe(201)
  return ((await response.json()) as { id: string }).id
}

describe('a wrong clock', () => {
  it.each([-3_600, 3_600])('of the only worker (%d s) changes nothing', async (seconds) => {
    const stack = await stackWith({ workerEnv: shiftedClock(seconds) })
    expect(await statuses(stack.url, 5)).toEqual([200, 200, 200, 200, 200])
    const id = await submitted(stack.url)
    const shown = (await (await fetch(`${stack.url}/v1/predictions/${id}`)).json()) as Shown
    expect(shown.status).toBe('succeeded')
    expect(Math.abs(Date.parse(String(shown.completed_at)) - Date.parse(shown.created_at))).toBeLessThan(60_000)
  })

  it.each([-3_600, 3_600])('of the api (%d s) changes nothing', async (seconds) => {
    const stack = await stackWith({ apiEnv: shiftedClock(seconds) })
    expect(await statuses(stack.url, 5)).toEqual([200, 200, 200, 200, 200])
  })

  it('of one worker does not hide the other one', async () => {
    const stack = await stackWith({})
    await stack.addWorker(shiftedClock(40))
    await waitFor('both workers', async () => (await liveWorkers(stack.url)) === 2)
    // Longer than a heartbeat, whose publication removes expired ones.
    const until = Date.now() + 6_000
    while (Date.now() < until) {
      expect(await liveWorkers(stack.url)).toBe(2)
      expect(await statuses(stack.url, 2)).toEqual([200, 200])
    }
  }, 60_000)

  it('of another api or worker removes no results', async () => {
    const redisUrl = await emptyRedis()
    const stack = await stackWith({ redisUrl })
    const id = await submitted(stack.url)
    // FILE_TTL makes it sweep every second.
    const late = await stackWith({ redisUrl, workers: 0, apiEnv: { FILE_TTL: '1s', ...shiftedClock(40 * 24 * 3_600) } })
    await stack.addWorker(shiftedClock(7_200))
    await waitFor('a log line of the late api', () =>
      late.api.logs().some(({ msg }) => String(msg).startsWith("this machine's clock differs")),
    )
    const until = Date.now() + 4_000
    while (Date.now() < until) await submitted(late.url)
    expect((await fetch(`${stack.url}/v1/predictions/${id}`)).status).toBe(200)
    expect((await fetch(`${late.url}/v1/predictions/${id}`)).status).toBe(200)
  })
})
