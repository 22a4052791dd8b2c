// A rollout of the Helm chart under load, with this test as kubelet and service: a new pod is ready before an old one gets SIGTERM,
// and a pod gets calls until a readiness probe fails.
import { readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { emptyRedis } from '../helpers/redis.ts'
import { type Stack, startStack } from '../helpers/stack.ts'
import type { StartedProcess } from '../helpers/start-process.ts'
import { waitFor } from '../helpers/wait-for.ts'

interface PodSpec {
  terminationGracePeriodSeconds: number
  containers: [{ readinessProbe: { periodSeconds: number; failureThreshold: number } }]
}

const chart = parseAllDocuments(readFileSync('test/fixtures/helm/full.yaml', 'utf8')).map((each) => each.toJS())
const { spec: pod } = chart.find((each) => each?.kind === 'Deployment' && each.metadata.name === 'inferq-api').spec
  .template as { spec: PodSpec }
const { periodSeconds, failureThreshold } = pod.containers[0].readinessProbe
const graceMs = pod.terminationGracePeriodSeconds * 1_000

let stack: Stack
const endpoints = new Set<string>()
const closing = new AbortController()

beforeAll(async () => {
  // The chart's STOP_DELAY is 5 s; a loaded machine may probe later than a kubelet.
  const apiEnv = { STOP_DELAY: '15s', SHUTDOWN_GRACE: '30s' }
  stack = await startStack({ redisUrl: await emptyRedis(), workers: 2, apiEnv, workerEnv: { MODELS: 'tiny-fp32' } })
})
afterAll(async () => {
  closing.abort()
  await stack.stop()
})

/** Probes a pod as a kubelet does: it is an endpoint of the service until several probes in a row fail. */
async function probe(url: string): Promise<void> {
  let failures = 0
  while (!closing.signal.aborted) {
    const ready = await fetch(`${url}/readyz`).then(
      ({ ok }) => ok,
      () => false,
    )
    failures = ready ? 0 : failures + 1
    if (ready) endpoints.add(url)
    else if (failures >= failureThreshold) endpoints.delete(url)
    await delay(periodSeconds * 1_000, undefined, { signal: closing.signal }).catch(() => undefined)
  }
}

/** Ends a pod as a kubelet does. @returns its exit code, or SIGKILL. */
const terminate = (pod: StartedProcess) => pod.stop(graceMs)

function startLoad() {
  const stopped = new AbortController()
  const outcomes = { answered: 0, failed: [] as string[] }
  const call = async () => {
    for (let turn = 0; !stopped.signal.aborted; turn += 1) {
      const urls = await waitFor('an endpoint', () => endpoints.size > 0 && [...endpoints])
      const url = urls[turn % urls.length]
      try {
        const answer = await fetch(`${url}/predict?text=a+rollout`)
        const body = await answer.text()
        if (answer.ok) outcomes.answered += 1
        // An overloaded machine; Redis is not replaced.
        else if (!body.includes('(Redis) cannot be reached')) outcomes.failed.push(`${answer.status} ${body}`)
      } catch (error) {
        outcomes.failed.push(String((error as Error).cause ?? error))
      }
      await delay(25)
    }
  }
  const calls = Promise.all(Array.from({ length: 4 }, call))
  return {
    outcomes,
    stop: async () => {
      stopped.abort()
      await calls
    },
  }
}

it('fails no call while every api and every worker is replaced', async () => {
  void probe(stack.url)
  await waitFor('the first endpoint', () => endpoints.size === 1)
  const load = startLoad()
  const old = stack.workers.slice(0, 2)
  const replaceWorkers = async () => {
    for (const worker of old) {
      await stack.addWorker()
      codes.push(await terminate(worker))
    }
  }
  const replaceApi = async () => {
    const { url } = await stack.addApi()
    void probe(url)
    await waitFor('the second endpoint', () => endpoints.has(url))
    codes.push(await terminate(stack.api))
    expect(endpoints.has(stack.url)).toBe(false)
  }
  const codes: unknown[] = []
  await Promise.all([replaceWorkers(), replaceApi()])
  const before = load.outcomes.answered
  await waitFor('calls to the new api', () => load.outcomes.answered > before + 10)
  await load.stop()
  expect(load.outcomes.failed).toEqual([])
  expect(codes).toEqual([0, 0, 0])
}, 180_000)
