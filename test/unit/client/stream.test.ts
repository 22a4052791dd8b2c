// Event streams in the client: read, resumed, and ended.
import type { IncomingMessage } from 'node:http'
import { afterEach, expect, it } from 'vitest'
import { Inferq } from '../../../src/client/client.ts'
import { ConnectionError, InferqError } from '../../../src/client/errors.ts'
import { type Answer, type AnsweringServer, json, startAnswers } from '../../helpers/answers.ts'
import { collect } from '../../helpers/collect.ts'

let running: AnsweringServer | undefined
afterEach(() => running?.stop())

const HEAD = { 'Content-Type': 'text/event-stream' }
const lastIds: unknown[] = []
const noted = (request: IncomingMessage) => void lastIds.push(request.headers['last-event-id'])

/** Sends the text, then ends the stream, or cuts the connection. */
const events =
  (text: string, isCut = false): Answer =>
  (request, response) => {
    noted(request)
    response.writeHead(200, HEAD).write(text, () => (isCut ? response.destroy() : response.end()))
  }
async function streamOf(...answers: Answer[]) {
  lastIds.length = 0
  running = await startAnswers(...answers)
  return new Inferq({ url: running.url }).predictions.stream('a')
}

const QUEUED = 'id: 1-queued\nevent: queued\ndata: {"position":3}\n\n'
const OUTPUT = 'id: 1-output\nevent: output\ndata: [{"label":"a","score":1}]\n\n'
const DONE = 'id: 1-done\nevent: done\ndata: {"status":"succeeded"}\n\n'

it('yields the events without comments, until done', async () => {
  const stream = await streamOf(events(`${QUEUED}: still here\n\n${OUTPUT}${DONE}${QUEUED}`))
  expect(await collect(stream)).toEqual([
    { id: '1-queued', event: 'queued', data: { position: 3 } },
    { id: '1-output', event: 'output', data: [{ label: 'a', score: 1 }] },
    { id: '1-done', event: 'done', data: { status: 'succeeded' } },
  ])
  expect(running?.requests).toEqual(['GET /v1/predictions/a/stream'])
})

it('goes on after the last event when the connection is cut, or the stream ends early', async () => {
  const stream = await streamOf(events(`${QUEUED}id: 1-output\nevent: out`, true), events(OUTPUT), events(DONE))
  expect((await collect(stream)).map(({ event }) => event)).toEqual(['queued', 'output', 'done'])
  expect(lastIds).toEqual([undefined, '1-queued', '1-output'])
})

it('ends when the server has nothing more', async () => {
  const stream = await streamOf(events(QUEUED), (_request, response) => response.writeHead(204).end())
  expect(await collect(stream)).toHaveLength(1)
})

it('throws what the server refuses', async () => {
  const stream = await streamOf(json(404, { detail: 'no such prediction' }))
  await expect(collect(stream)).rejects.toThrow(InferqError)
  expect(running?.requests).toHaveLength(1)
})

it('stops when the signal aborts', async () => {
  running = await startAnswers((_request, response) => response.writeHead(200, HEAD).write(QUEUED))
  const stop = new AbortController()
  const read = async () => {
    const stream = new Inferq({ url: running?.url ?? '' }).predictions.stream('a', { signal: stop.signal })
    for await (const { event } of stream) if (event === 'queued') stop.abort(new Error('stopped'))
  }
  await expect(read()).rejects.toThrow('stopped')
})

it('fails when the server is away for long', async () => {
  const stream = await streamOf(events(''))
  await expect(collect(stream)).rejects.toThrow(ConnectionError)
  expect(running?.requests).toHaveLength(7)
}, 60_000)
