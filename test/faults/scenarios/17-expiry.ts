import { setTimeout as delay } from 'node:timers/promises'
import { waitFor } from '../../helpers/wait-for.ts'
import { ask, endsOf, submit } from '../runner/calls.ts'
import { seconds, spread } from '../runner/figures.ts'
import type { Scenario } from '../runner/scenario.ts'

const TTL_MS = 4_000
/** Answers of a busy machine come late. */
const MARGIN_MS = 5_000

export const scenario: Scenario = {
  promise: 'A result that has expired cannot be read.',
  async run({ pick, start }) {
    const cluster = await start({ apiEnv: { RESULT_TTL: `${TTL_MS}ms` } })
    const overruns: number[] = []
    let readable = 0
    const rounds = pick(1, 5)
    for (let round = 0; round < rounds; round += 1) {
      const ids = await Promise.all(Array.from({ length: 10 }, () => submit(cluster, { text: 'short-lived' })))
      const ends = await endsOf(cluster, ids as string[], 30_000)
      const follow = async (id: string, endedAt: number) => {
        const expiresAt = endedAt + TTL_MS
        const isGone = async () => {
          const { status } = await ask(`${cluster.url}/v1/predictions/${id}`)
          return status === 410 || status === 404
        }
        await delay(Math.max(0, expiresAt - Date.now()))
        await waitFor('the result to be gone', isGone)
        overruns.push(Math.max(0, Date.now() - expiresAt))
        await delay(200)
        if ((await ask(`${cluster.url}/v1/predictions/${id}`)).status === 200) readable += 1
      }
      await Promise.all(
        [...ends].map(async ([id, found]) => found?.completed_at && follow(id, Date.parse(found.completed_at))),
      )
    }
    return {
      faults: `RESULT_TTL of ${seconds(TTL_MS)}`,
      figure: `${overruns.length} results: readable beyond their time for ${spread(overruns)}; readable again ${readable}`,
      checks: [
        ['no result ended', overruns.length > 0],
        [`a result was readable for ${seconds(Math.max(...overruns))} longer`, Math.max(...overruns) < MARGIN_MS],
        [`${readable} were readable again`, readable === 0],
      ],
    }
  },
}
