import { setTimeout as delay } from 'node:timers/promises'
import type { ProxyMode } from '../../helpers/tcp-proxy.ts'
import { waitFor } from '../../helpers/wait-for.ts'
import { answeredAfter, ask, endsOf, submit } from '../runner/calls.ts'
import { seconds } from '../runner/figures.ts'
import { Period } from '../runner/loops.ts'
import type { Scenario } from '../runner/scenario.ts'

const WAIT_TIMEOUT_MS = 4_000
/** Beyond WAIT_TIMEOUT: commands to Redis (2 s each), and the wait for a CPU of a busy machine. */
const MARGIN_MS = 10_000
const MODES: ProxyMode[] = ['latency', 'cut', 'silence', 'pass']
const LATENCY_MS = 300

export const scenario: Scenario = {
  promise: 'A call never hangs: it is answered by its deadline, whatever the network does, with and without workers.',
  async run({ pick, start }) {
    const cluster = await start({
      proxied: ['api', 'worker'],
      apiEnv: { WAIT_TIMEOUT: `${WAIT_TIMEOUT_MS}ms` },
    })
    const times: number[] = []
    const statuses = new Map<number, number>()
    const period = new Period()
    for (let callers = 0; callers < 8; callers += 1) {
      period.every(50, async () => {
        const began = Date.now()
        const { status } = await ask(`${cluster.url}/predict`, { json: { inputs: 'hello' } })
        times.push(Date.now() - began)
        statuses.set(status, (statuses.get(status) ?? 0) + 1)
      })
    }
    let faults = 0
    period.every(0, async () => {
      for (const proxy of [cluster.apiProxy, cluster.workerProxy]) {
        for (const mode of MODES) {
          if (period.signal.aborted) return
          proxy.set(mode, LATENCY_MS)
          faults += 1
          await delay(pick(1_000, 6_000))
        }
        proxy.freeze()
        faults += 1
        await delay(pick(1_000, 6_000))
      }
      cluster.workers[0]?.child.kill(faults % 20 === 10 ? 'SIGSTOP' : 'SIGCONT')
    })
    await period.last(pick(15_000, 120_000))
    for (const proxy of [cluster.apiProxy, cluster.workerProxy]) proxy.set('pass')
    for (const worker of cluster.workers) worker.child.kill('SIGCONT')
    const recovered = await answeredAfter(cluster.url, Date.now(), 90_000)
    const [worker] = cluster.workers.splice(0)
    await worker?.stop()
    await waitFor('the api to notice', async () => (await ask(`${cluster.url}/health`)).status === 503)
    const refusedAt = Date.now()
    const refused = await ask(`${cluster.url}/predict`, { json: { inputs: 'hello' } })
    times.push(Date.now() - refusedAt)
    const waiting = await submit(cluster, { text: 'patient' })
    await cluster.stack.addWorker()
    const [ended] = (await endsOf(cluster, [waiting ?? ''], 60_000)).values()
    const longest = Math.max(...times)
    const hung = statuses.get(0) ?? 0
    const counts = [...statuses].toSorted(([a], [b]) => a - b).map(([status, count]) => `${count} × ${status}`)
    return {
      faults: `${faults} faults of the connections to Redis (latency, cut, silence, half-open), a frozen worker, no worker`,
      figure: `${times.length} calls (${counts.join(', ')}), longest ${seconds(longest)} with WAIT_TIMEOUT ${seconds(WAIT_TIMEOUT_MS)}, hung ${hung}, answered again after ${seconds(recovered)}`,
      checks: [
        [`${hung} calls got no answer`, hung === 0],
        [`an answer took ${seconds(longest)}`, longest <= WAIT_TIMEOUT_MS + MARGIN_MS],
        [`without a worker a call got ${refused.status}`, refused.status === 503],
        [`a prediction that waited for a worker is ${ended?.status}`, ended?.status === 'succeeded'],
        ['a process ended', cluster.crashes === 0],
      ],
    }
  },
}
