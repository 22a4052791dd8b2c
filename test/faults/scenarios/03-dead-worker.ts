import { waitFor } from '../../helpers/wait-for.ts'
import { ask, submit } from '../runner/calls.ts'
import { DEFECTIVE, textThat } from '../runner/defective.ts'
import { seconds, spread } from '../runner/figures.ts'
import { JobEvents } from '../runner/job-events.ts'
import type { Scenario } from '../runner/scenario.ts'

const JOBS = 12
/** Lock (10 s) and two checks for stalled jobs (5 s each). */
const LIMIT_MS = 20_000

export const scenario: Scenario = {
  promise: "A dead worker's job starts again within 20 s: lock (10 s) and two checks for stalled jobs (5 s each).",
  async run({ pick, start, onEnd }) {
    const cluster = await start({ workerEnv: { ...DEFECTIVE, RUN_TIMEOUT: '10m' } })
    const events = new JobEvents(cluster.redis.url, ['tiny-fp32-async']).start()
    onEnd(() => events.stop())
    const rounds = pick(1, 6)
    const waits: number[] = []
    for (let round = 0; round < rounds; round += 1) {
      // The first is in the native call and never ends; the others wait in the worker, with locks too.
      const inputs = { inputs: [textThat('hangs')] }
      const ids = (await Promise.all(Array.from({ length: JOBS }, () => submit(cluster, inputs)))) as string[]
      const active = (id: string) => events.of('active', `public_${id}`)
      await waitFor('the jobs to run', () => ids.every((id) => active(id).length === 1), { within: 60_000 })
      const victim = cluster.workers.shift()
      await cluster.stack.addWorker()
      const killedAt = Date.now()
      victim?.child.kill('SIGKILL')
      await waitFor('the jobs to start again', () => ids.every((id) => active(id).length >= 2), { within: 90_000 })
      waits.push(...ids.map((id) => (active(id)[1]?.at ?? Number.NaN) - killedAt))
      for (const id of ids) await ask(`${cluster.url}/v1/predictions/${id}/cancel`, { method: 'POST' })
      await cluster.replaceWorker()
    }
    const longest = Math.max(...waits)
    return {
      faults: `${rounds} × SIGKILL of a worker that holds ${JOBS} jobs`,
      figure: `${waits.length} jobs: ${spread(waits)}`,
      checks: [[`the longest took ${seconds(longest)}`, longest <= LIMIT_MS]],
    }
  },
}
