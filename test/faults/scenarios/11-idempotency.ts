import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { waitFor } from '../../helpers/wait-for.ts'
import { ask, endsOf } from '../runner/calls.ts'
import type { Scenario } from '../runner/scenario.ts'

const PARALLEL = 50

export const scenario: Scenario = {
  promise: 'The same Idempotency-Key and body give one job, also when the api dies between record and answer.',
  async run({ pick, start }) {
    const cluster = await start({ apis: 2 })
    const rounds = pick(3, 12)
    const ids = new Set<string>()
    let unanswered = 0
    let disagreements = 0
    for (let round = 0; round < rounds; round += 1) {
      const key = randomUUID()
      const post = async (url: string) => {
        const { status, body } = await ask(`${url}/v1/predictions`, {
          json: { input: { text: `round ${round}` } },
          headers: { 'Idempotency-Key': key },
        })
        if (status === 0) unanswered += 1
        return status === 201 || status === 202 ? (body as { id: string }).id : undefined
      }
      const posts = Array.from({ length: PARALLEL }, (_, index) => post(cluster.apis[index % 2]?.url ?? cluster.url))
      await delay(Math.random() * 30)
      await cluster.replaceApi()
      const answers = new Set((await Promise.all(posts)).filter((id) => id !== undefined))
      const repeated = await waitFor('an answer to the repeated request', () => post(cluster.url))
      answers.add(repeated)
      if (answers.size > 1) disagreements += 1
      ids.add(repeated)
    }
    const ends = [...(await endsOf(cluster, [...ids], 60_000)).values()]
    const { body } = await ask(`${cluster.url}/v1/predictions`)
    const kept = (body as { results: unknown[] }).results.length
    const succeeded = ends.filter((found) => found?.status === 'succeeded').length
    return {
      faults: `${rounds} keys, ${PARALLEL} requests each at the same time at two apis, one of which is killed; then a repetition`,
      figure: `requests without an answer ${unanswered}, keys ${ids.size}, jobs ${kept}, succeeded ${succeeded}`,
      checks: [
        [`${disagreements} keys gave several ids`, disagreements === 0],
        [`${kept} jobs for ${rounds} keys`, kept === rounds && ids.size === rounds],
        ['a job did not succeed', succeeded === rounds],
      ],
    }
  },
}
