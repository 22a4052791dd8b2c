// What refusing a body costs the api, as a multiple of what a valid body of the same size costs it.
import { hostileBodies } from '../test/helpers/hostile-bodies.ts'
import { sentimentSmall } from './models.ts'
import { type Bench, type Figure, median, type Question } from './question.ts'
import { type Stack, withStack } from './stack.ts'

const MAX_BODY = 1_000_000
const MAX_RATIO = 5
const REPEATS = 7

export const refusals: Question = {
  name: 'refusals',
  title: `CPU time of the api for a refused body of ${MAX_BODY / 1_000_000} MB, in valid ones`,
  ask: (bench) => withStack(bench, [sentimentSmall], (stack) => ask(bench, stack), { apiEnv: { LOG_LEVEL: 'error' } }),
}

async function ask({ say }: Bench, stack: Stack): Promise<Figure[]> {
  const texts = Array.from({ length: 1_000 }, (_, index) => `${'word '.repeat(195)}${index}`)
  const requests = Array.from({ length: 1_000 }, (_, index) => ({
    custom_id: `${index}`,
    body: { inputs: texts[index] },
  }))
  const batch = { endpoint: '/predict', completion_window: '1s', requests }
  const valid: Record<string, string> = {
    '/v1/predictions': JSON.stringify({ input: { inputs: texts } }).slice(0, MAX_BODY),
    '/v1/batches': JSON.stringify(batch),
  }
  const figures: Figure[] = []
  const costs: Record<string, number> = {}
  for (const [route, body] of Object.entries(valid)) {
    costs[route] = await cost(stack, route, body)
    figures.push({ what: `valid, POST ${route}`, measured: costs[route], unit: 'ms' })
  }
  for (const [what, route, body] of hostileBodies(MAX_BODY)) {
    say(`refusals: ${what}`)
    const ms = await cost(stack, route.replace('/tiny', `/${sentimentSmall.name}`), body)
    const ratio = ms / (costs[route === '/v1/batches' ? route : '/v1/predictions'] ?? 1)
    figures.push({ what: `${what}, POST ${route}`, measured: ratio, unit: '', budget: { max: MAX_RATIO } })
  }
  return figures
}

/** The median CPU milliseconds of the api for one such request. */
async function cost({ url }: Stack, route: string, body: string): Promise<number> {
  const headers = { 'Content-Type': 'application/json' }
  const times: number[] = []
  for (let repeat = 0; repeat < REPEATS; repeat += 1) {
    const before = await cpuSeconds(url)
    const response = await fetch(url + route, { method: 'POST', headers, body })
    const answer = (await response.json()) as { urls?: { cancel: string } }
    times.push(((await cpuSeconds(url)) - before) * 1_000)
    if (answer.urls) await fetch(answer.urls.cancel, { method: 'POST' })
  }
  return median(times)
}

async function cpuSeconds(url: string): Promise<number> {
  const metrics = await (await fetch(`${url}/metrics`)).text()
  return Number(/^process_cpu_seconds_total (\S+)/m.exec(metrics)?.[1])
}
