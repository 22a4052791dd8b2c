// Checks of one client.
import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface Result {
  /** Name and version. */
  client: string
  feature: string
  ok: boolean
  note: string
}

export interface Target {
  url: string
  key: string
  model: string
  /** Serves no job: what is submitted for it stays unfinished. */
  pausedModel: string
}

/** Runs one check; an exception is its failure. */
export type Check = (feature: string, run: () => Promise<void>) => Promise<void>

export const TEXT = 'The boy is sitting on a bench'
export const LONG = 'many words '.repeat(800)
/** An id whose time is long past: 410. */
export const EXPIRED_ID = '0190f3f2-7c1e-7000-8000-000000000000'

/** Polls until the result is neither false nor undefined. */
export async function until<T>(what: string, condition: () => Promise<T | false | undefined>): Promise<T> {
  for (const end = Date.now() + 60_000; Date.now() < end; ) {
    const result = await condition()
    if (result !== false && result !== undefined) return result
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  throw new Error(`${what} did not happen`)
}

/** The webhook of a new prediction, and the secret that signs it. */
export async function receiveWebhook({ url, key, model }: Target) {
  const receiver = createServer().listen(0, '127.0.0.1')
  try {
    await once(receiver, 'listening')
    const webhook = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/`
    const received = once(receiver, 'request')
    const headers = { Authorization: `Bearer ${key}`, 'Content-Type': 'application/json' }
    const body = JSON.stringify({ model, input: { text: TEXT }, webhook })
    await fetch(`${url}/v1/predictions`, { method: 'POST', headers, body })
    const [request, response] = (await received) as [IncomingMessage, { end: () => void }]
    const sent = Buffer.concat(await request.toArray()).toString()
    response.end()
    const secret = (await (await fetch(`${url}/v1/webhooks/default/secret`, { headers })).json()) as { key: string }
    return { headers: request.headers as Record<string, string>, body: sent, secret: secret.key }
  } finally {
    receiver.close()
  }
}
