// Event streams of predictions with a real worker, read by several clients.
import Replicate from 'replicate'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Inferq } from '../../src/client/client.ts'
import { collect } from '../helpers/collect.ts'
import { type OpenEvents, openEvents } from '../helpers/events.ts'
import { emptyRedis } from '../helpers/redis.ts'
import { type Stack, startStack } from '../helpers/stack.ts'
import { waitFor } from '../helpers/wait-for.ts'

const KEY = 'the-secret-of-ann'
const TEXT = 'The boy is sitting on a bench'
let stack: Stack
beforeAll(async () => {
  stack = await startStack({ redisUrl: await emptyRedis(), apiEnv: { API_KEYS: `ann:${KEY}` } })
})
afterAll(() => stack?.stop())

const headers = { Authorization: `Bearer ${KEY}`, 'Content-Type': 'application/json' }
const post = (input: object): Promise<OpenEvents> =>
  openEvents(`${stack.url}/v1/predictions`, {
    method: 'POST',
    headers: { ...headers, Accept: 'text/event-stream' },
    body: JSON.stringify({ input }),
  })
const namesOf = ({ events }: OpenEvents) => events.map(({ event }) => event)
const statusOf = async (stream: OpenEvents) => {
  const found = await fetch(stream.headers.get('location') ?? '', { headers })
  return ((await found.json()) as { status: string }).status
}

describe('a POST with Accept: text/event-stream', () => {
  it('streams the events of the new prediction', async () => {
    const stream = await post({ text: TEXT })
    await stream.ended
    expect(namesOf(stream).slice(-3)).toEqual(['started', 'output', 'done'])
    const found = await fetch(stream.headers.get('location') ?? '', { headers })
    const { id, output, status, metrics } = (await found.json()) as Record<string, unknown>
    const [sent, done] = stream.events.slice(-2)
    expect(sent?.data).toEqual(output)
    expect(done?.data).toMatchObject({ id, status, metrics })
  })

  it('has the problem of a text that is too long, and the output of the others', async () => {
    const stream = await post({ inputs: [TEXT, 'word '.repeat(600)], truncate: false })
    await stream.ended
    expect(namesOf(stream).slice(-4)).toEqual(['started', 'output', 'error', 'done'])
    expect(stream.events.at(-2)?.data).toMatchObject({ status: 422, errors: [{ index: 1 }] })
    expect(stream.events.at(-1)?.data).toMatchObject({ status: 'failed', reason: 'error' })
  })

  it('goes on without its client', async () => {
    const stream = await post({ text: TEXT })
    stream.close()
    await waitFor('the end', async () => (await statusOf(stream)) === 'succeeded')
  })
})

describe('clients', () => {
  it("Replicate's stream() has the output", async () => {
    const replicate = new Replicate({ auth: KEY, baseUrl: `${stack.url}/v1` })
    const events = await collect(replicate.stream('any/tiny-fp32', { input: { text: TEXT } }))
    expect(events.map(({ event }) => event)).toEqual(['output', 'done'])
    expect(JSON.parse(events[0]?.data ?? '')).toEqual(await replicate.run('any/tiny-fp32', { input: { text: TEXT } }))
  })

  it("Replicate's stream() throws for a prediction that fails", async () => {
    const replicate = new Replicate({ auth: KEY, baseUrl: `${stack.url}/v1` })
    const input = { text: 'word '.repeat(600), truncate: false }
    await expect(collect(replicate.stream('any/tiny-fp32', { input }))).rejects.toThrow('could not be classified')
  })

  it('the TypeScript client follows a prediction', async () => {
    const client = new Inferq({ url: stack.url, key: KEY })
    const { id } = await client.predictions.create(TEXT)
    const events = await collect(client.predictions.stream(id))
    expect(events.map(({ event }) => event).slice(-3)).toEqual(['started', 'output', 'done'])
    expect(await collect(client.predictions.stream(id, { lastEventId: events.at(-1)?.id ?? '' }))).toEqual([])
  })
})
