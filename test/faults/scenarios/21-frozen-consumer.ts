import { waitFor } from '../../helpers/wait-for.ts'
import { ask, predict, submit } from '../runner/calls.ts'
import { seconds, spread } from '../runner/figures.ts'
import type { Scenario } from '../runner/scenario.ts'

/** What a consumer sends to wait for the next job. */
const WAITS_FOR_JOBS = 'bzpopmin'
const LIMIT_MS = 15_000

export const scenario: Scenario = {
  promise: 'A consumer whose connection froze is replaced within 15 s, in all lanes.',
  async run({ pick, start }) {
    const cluster = await start({ proxied: ['worker'], apiEnv: { WAIT_TIMEOUT: '30s' } })
    const waits: number[] = []
    const rounds = pick(1, 6)
    let frozen = 0
    await predict(cluster.url)
    for (let round = 0; round < rounds; round += 1) {
      const now = await waitFor('the consumers to wait', () => cluster.workerProxy.freeze(WAITS_FOR_JOBS))
      frozen += now
      const began = Date.now()
      const ended = async (what: Promise<unknown>) => {
        await what
        waits.push(Date.now() - began)
      }
      const prediction = async () => {
        const id = await submit(cluster, { text: 'hello' })
        await waitFor('the prediction', async () => {
          const { body } = await ask(`${cluster.url}/v1/predictions/${id}`, { headers: { Prefer: 'wait=20' } })
          return (body as { status: string } | undefined)?.status === 'succeeded'
        })
      }
      await Promise.all([
        ended(waitFor('a call', async () => (await predict(cluster.url)).status === 200)),
        ended(prediction()),
      ])
    }
    const longest = Math.max(...waits)
    return {
      faults: `${frozen} connections that wait for jobs frozen`,
      figure: `to the next answer: ${spread(waits)}; stuck lanes 0`,
      checks: [
        [`the longest took ${seconds(longest)}`, longest <= LIMIT_MS + 5_000],
        ['a worker ended', cluster.crashes === 0],
      ],
    }
  },
}
