import { metric, predict } from '../runner/calls.ts'
import { seconds, spread } from '../runner/figures.ts'
import type { Scenario } from '../runner/scenario.ts'

/** What the connection that listens to replies has sent. */
const LISTENS = 'subscribe\r\n'

export const scenario: Scenario = {
  promise: 'A lost message never loses an answer: what no reply announces is found in Redis.',
  async run({ pick, start }) {
    const cluster = await start({ proxied: ['api'] })
    const { url } = cluster
    cluster.apiProxy.mute(LISTENS)
    cluster.apiProxy.freeze(LISTENS)
    const times: number[] = []
    const statuses: number[] = []
    const before = {
      replies: await metric(url, 'inferq_answers_settled{by="reply"}'),
      reads: await metric(url, 'inferq_answers_settled{by="reconcile"}'),
    }
    const calls = pick(40, 2_000)
    const remaining = Array.from({ length: calls }, (_, index) => index).values()
    const caller = async () => {
      for (const index of remaining) {
        const began = Date.now()
        statuses.push((await predict(url, `text ${index}`)).status)
        times.push(Date.now() - began)
      }
    }
    await Promise.all(Array.from({ length: 8 }, caller))
    const byReply = (await metric(url, 'inferq_answers_settled{by="reply"}')) - before.replies
    const byReading = (await metric(url, 'inferq_answers_settled{by="reconcile"}')) - before.reads
    const answered = statuses.filter((status) => status === 200).length
    return {
      faults: 'the channel of replies cut for the whole run',
      figure: `answered ${answered} of ${calls}: ${byReply} jobs by message, ${byReading} by reading; ${spread(times)}`,
      checks: [
        [`${calls - answered} calls were not answered`, answered === calls],
        ['a message arrived', byReply === 0],
        [`an answer took ${seconds(Math.max(...times))}`, Math.max(...times) < 15_000],
      ],
    }
  },
}
