import { waitFor } from '../../helpers/wait-for.ts'
import { ask, endsOf, submit } from '../runner/calls.ts'
import { DEFECTIVE, textThat } from '../runner/defective.ts'
import { spread } from '../runner/figures.ts'
import { JobEvents } from '../runner/job-events.ts'
import type { Scenario } from '../runner/scenario.ts'

export const scenario: Scenario = {
  promise: 'A canceled job that waits never runs; one that runs stops at its next run, on any worker.',
  async run({ pick, start, onEnd }) {
    const cluster = await start({ workers: 2, workerEnv: { ...DEFECTIVE, MAX_RUN_TOKENS: '205', PREDICT_JOBS: '2' } })
    const events = new JobEvents(cluster.redis.url, ['tiny-fp32-async']).start()
    onEnd(() => events.stop())
    const [rounds, jobs, texts] = [pick(2, 12), 8, 40]
    const stops: number[] = []
    let [wrong, canceled, waiting] = [0, 0, 0]
    for (let round = 0; round < rounds; round += 1) {
      const inputs = { inputs: Array.from({ length: texts }, () => textThat('slow')) }
      const ids = (await Promise.all(Array.from({ length: jobs }, () => submit(cluster, inputs)))) as string[]
      const isActive = (id: string) => events.of('active', `public_${id}`).length > 0
      await waitFor('a job to run', () => ids.some(isActive), { within: 60_000 })
      waiting += ids.filter((id) => !isActive(id)).length
      const canceledAt = Date.now()
      await Promise.all(ids.map((id) => ask(`${cluster.url}/v1/predictions/${id}/cancel`, { method: 'POST' })))
      const hasStopped = (id: string) => events.of('completed', `public_${id}`).length > 0
      await waitFor('all to stop', () => ids.every(hasStopped), { within: 60_000 })
      for (const id of ids) stops.push(Math.max(0, (events.of('completed', `public_${id}`)[0]?.at ?? 0) - canceledAt))
      for (const found of (await endsOf(cluster, ids, 0)).values()) {
        canceled += 1
        if (found?.status !== 'canceled' || found.output !== null) wrong += 1
      }
    }
    // Without cancellation a job takes this long: 40 runs of 0.4 s.
    const whole = texts * 400
    return {
      faults: `${canceled} cancellations on 2 workers, of ${waiting} jobs that wait and ${canceled - waiting} that run`,
      figure: `from the cancellation to the end of the job ${spread(stops)} (it would take ${whole / 1_000} s); with another status ${wrong}`,
      checks: [
        [`${wrong} are not canceled, or have an output`, wrong === 0],
        ['jobs waited and jobs ran', waiting > 0 && waiting < canceled],
        ['a job went on', Math.max(...stops) < whole],
      ],
    }
  },
}
