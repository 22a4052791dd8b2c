import { Webhook } from 'standardwebhooks'
import { BatchCaller } from '../../helpers/batches.ts'
import { waitFor } from '../../helpers/wait-for.ts'
import { startReceiver } from '../../helpers/webhook-receiver.ts'
import { ask } from '../runner/calls.ts'
import type { Scenario } from '../runner/scenario.ts'

/** Ways to write or to reach an address of this machine or of a private network. */
const PRIVATE = [
  'http://10.0.0.1/',
  'http://192.168.1.1/',
  'http://169.254.169.254/latest/meta-data',
  'http://[::ffff:10.0.0.1]/',
  'http://[fd00::1]/',
  'http://167772161/',
  'http://0x0a000001/',
  'http://0.0.0.0/',
  'http://[::1]/',
  'ftp://example.com/',
  'http://user:password@example.com/',
]

export const scenario: Scenario = {
  promise:
    'A webhook is delivered at least once, signed, while apis die and receivers fail; never to a private address.',
  async run({ pick, start, onEnd }) {
    // The first request is answered with an error, or with a redirect, or not at all.
    const kinds = ['fails', 'redirects', 'hangs', 'works'] as const
    const firstAnswer = { fails: 500, redirects: 302, hangs: undefined, works: 204 }
    const receiver = await startReceiver((path, n) => {
      const kind = kinds.find((each) => path.startsWith(`/${each}/`)) ?? 'works'
      return n === 0 ? firstAnswer[kind] : 204
    })
    onEnd(() => receiver.stop())
    const cluster = await start({ apis: 2, apiEnv: { WEBHOOK_ALLOW: '127.0.0.0/8' } })
    const { key } = await new BatchCaller(cluster.url).ask<{ key: string }>('/v1/webhooks/default/secret')
    const wanted = Array.from({ length: pick(20, 400) }, (_, index) => `/${kinds[index % kinds.length]}/${index}`)
    const accepted: string[] = []
    for (const address of PRIVATE) {
      const { status } = await ask(`${cluster.url}/v1/predictions`, {
        json: { input: { text: 'a' }, webhook: address },
      })
      if (status !== 422) accepted.push(address)
    }
    for (const path of wanted) {
      const json = { input: { text: path }, webhook: receiver.url + path, webhook_events_filter: ['completed'] }
      await waitFor(`${path} to be accepted`, async () => {
        const { status } = await ask(`${cluster.apis[0]?.url}/v1/predictions`, { json })
        if (status !== 202) throw new Error(`answered ${status}`)
        return true
      })
    }
    await cluster.replaceApi()
    let delivered = 0
    let signed = 0
    await waitFor('every delivery', () => wanted.every((path) => isDelivered(path)), {
      within: pick(90_000, 180_000),
    }).catch(() => undefined)
    function isDelivered(path: string): boolean {
      const requests = receiver.received.filter((each) => each.path === path)
      return requests.length >= (path.startsWith('/works/') ? 1 : 2)
    }
    for (const path of wanted) {
      if (!isDelivered(path)) continue
      delivered += 1
      const last = receiver.received.findLast((each) => each.path === path)
      if (last && verifies(key, last.headers as Record<string, string>, last.body)) signed += 1
    }
    return {
      faults: `receivers whose first answer is an error, a redirect or none; an api killed; ${PRIVATE.length} private addresses`,
      figure: `delivered ${delivered} of ${wanted.length} (${receiver.received.length} requests), valid signatures ${signed}, blocked ${PRIVATE.length - accepted.length} of ${PRIVATE.length}`,
      checks: [
        [`${wanted.length - delivered} were not delivered`, delivered === wanted.length],
        ['a signature is invalid', signed === delivered],
        ['a redirect was followed', !receiver.received.some(({ path }) => path === '/moved')],
        [`accepted: ${accepted.join()}`, accepted.length === 0],
      ],
    }
  },
}

function verifies(key: string, headers: Record<string, string>, body: string): boolean {
  try {
    new Webhook(key).verify(body, headers)
    return true
  } catch {
    return false
  }
}
