import { setTimeout as delay } from 'node:timers/promises'
import { answeredAfter, ask, find, predict, submit } from '../runner/calls.ts'
import { seconds } from '../runner/figures.ts'
import type { Scenario } from '../runner/scenario.ts'

/** Commands to Redis end after 2 s, those of lists after 10 s; the rest is the wait for a CPU of a busy machine. */
const REFUSED_WITHIN_MS = { calls: 8_000, lists: 16_000 }

export const scenario: Scenario = {
  promise:
    'While Redis is away or hangs, calls get 503 within 2 s (lists 10 s), processes live, and all goes on when it is back.',
  async run({ pick, start }) {
    const cluster = await start({ redisAtStart: false })
    const { url, redis } = cluster
    const refusals = { calls: [0], lists: [0] }
    const statuses: number[] = []
    const recoveries: number[] = []
    const refuse = async () => {
      const began = Date.now()
      const refused = async (kind: keyof typeof refusals, answer: ReturnType<typeof ask>) => {
        statuses.push((await answer).status)
        refusals[kind].push(Date.now() - began)
      }
      await Promise.all([
        refused('calls', predict(url)),
        refused('calls', ask(`${url}/readyz`)),
        refused('lists', ask(`${url}/v1/predictions`)),
      ])
    }
    await refuse()
    const starting = cluster.stack.addWorker()
    await redis.start()
    let since = Date.now()
    await starting
    recoveries.push(await answeredAfter(url, since))
    const kept = (await submit(cluster, { text: 'kept' })) as string
    let lives = true
    const rounds = pick(1, 5)
    for (let round = 0; round < rounds; round += 1) {
      await redis.stop()
      await refuse()
      lives &&= (await ask(`${url}/livez`)).status === 200
      await delay(pick(0, 5_000))
      await redis.start()
      since = Date.now()
      recoveries.push(await answeredAfter(url, since))
      process.kill(redis.pid as number, 'SIGSTOP')
      await refuse()
      process.kill(redis.pid as number, 'SIGCONT')
      since = Date.now()
      recoveries.push(await answeredAfter(url, since))
    }
    const { status } = (await find(cluster, kept)) ?? {}
    const [calls, lists] = [Math.max(...refusals.calls), Math.max(...refusals.lists)]
    const others = statuses.filter((each) => each !== 503).length
    return {
      faults: `Redis away at the start, ${rounds} × stopped, ${rounds} × SIGSTOP`,
      figure: `503 after at most ${seconds(calls)} (lists ${seconds(lists)}), calls answered again at most ${seconds(Math.max(...recoveries))} after its return, crashes ${cluster.crashes}`,
      checks: [
        [`${others} answers were not 503`, others === 0],
        [`a 503 took ${seconds(calls)}`, calls <= REFUSED_WITHIN_MS.calls],
        [`the 503 of a list took ${seconds(lists)}`, lists <= REFUSED_WITHIN_MS.lists],
        ['an api was not alive', lives],
        [`${cluster.crashes} processes ended`, cluster.crashes === 0],
        [`a prediction of before is ${status}`, status === 'succeeded'],
      ],
    }
  },
}
