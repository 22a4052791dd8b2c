// Event streams of predictions with a real worker, read by several clients.
import Replicate from 'replicate'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Inferq } from '../../src/client/client.ts'
import { collect } from '../helpers/collect.ts'
import { type OpenEvents, openEvents } from '../helpers/events.ts'
import { childrenOf } from '../helpers/processes.ts'
import { emptyRedis } from '../helpers/redis.ts'
import { type Stack, startStack } from '../helpers/stack.ts'
import { waitFor } from '../helpers/wait-for.ts'

const KEY = 'the-secret-of-ann'
const TEXT = 'The boy is sitting on a bench'
let stack: Stack
beforeAll(async () => {
  // A frozen inference process is not replaced: the test below that freezes one kills its worker.
  const workerEnv = { RUN_TIMEOUT: '300s' }
  stack = await startStack({ redisUrl: await emptyRedis(), apiEnv: { API_KEYS: `ann:${KEY}` }, workerEnv })
})
afterAll(() => stack?.stop())

const ORDER = ['queued', 'started', 'output', 'error', 'done']
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

describe('a worker that is killed', () => {
  it('while it runs a prediction leaves its stream open, which goes on with the next worker', async () => {
    const [victim] = stack.workers
    const children = await childrenOf(victim?.child.pid)
    for (const child of children) process.kill(child, 'SIGSTOP')
    const stream = await post({ text: TEXT })
    await waitFor('the start', () => namesOf(stream).includes('started'))
    victim?.child.kill('SIGKILL')
    for (const child of children) process.kill(child, 'SIGKILL')
    await stack.addWorker()
    await stream.ended
    const names = namesOf(stream)
    expect(names.slice(-3)).toEqual(['started', 'output', 'done'])
    expect(names.filter((name) => name === 'started')).toHaveLength(2)
    expect(stream.events.at(-1)?.data).toMatchObject({ status: 'succeeded' })
    // In the order of runs, and of the events of a run; none is sent twice.
    const places = stream.events.map(({ id, event }) => Number(/\.(\d+)-/.exec(id)?.[1]) * 10 + ORDER.indexOf(event))
    expect(places).toEqual(places.toSorted((one, other) => one - other))
    expect(new Set(stream.events.map(({ id }) => id)).size).toBe(stream.events.length)
    const first = stream.events[names.indexOf('started')]
    const again = await openEvents(`${stream.headers.get('location')}/stream`, {
      headers: { ...headers, 'Last-Event-ID': first?.id ?? '' },
    })
    await again.ended
    expect(again.events).toEqual(stream.events.slice(-3))
  })
})
