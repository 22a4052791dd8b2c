// Every kind of request, mixed: those that are answered, those that are refused, and callers that leave.
import { randomUUID } from 'node:crypto'
import { BatchCaller, lines } from '../../helpers/batches.ts'
import { hostileBodies } from '../../helpers/hostile-bodies.ts'
import { ask, call } from '../runner/calls.ts'

interface Target {
  url: string
  /** A receiver of webhooks. */
  hook: string
}

type Action = (target: Target) => Promise<unknown>

let counter = 0
const text = () => `text ${(counter += 1)}`
const texts = (count: number) => Array.from({ length: count }, text)
const basic = (login: string) => ({ Authorization: `Basic ${Buffer.from(login).toString('base64')}` })
const hostile = hostileBodies(100_000)

async function created({ url }: Target, body: object, headers: Record<string, string> = {}): Promise<string> {
  const { body: prediction } = await ask(`${url}/v1/predictions`, { json: body, headers })
  return `${url}/v1/predictions/${(prediction as { id?: string } | undefined)?.id}`
}

/** Reads an answer for a while, and then hangs up. */
async function readAndLeave(url: string, ms: number, init: RequestInit = {}): Promise<void> {
  try {
    const response = await call(url, { ...init, signal: AbortSignal.timeout(ms) })
    await response.arrayBuffer()
  } catch {
    // The caller has left.
  }
}

/** `[weight, name, action]` */
const ACTIONS: [number, string, Action][] = [
  [20, 'call', ({ url }) => ask(`${url}/predict`, { json: { inputs: text() } })],
  [4, 'call of many texts', ({ url }) => ask(`${url}/predict`, { json: { inputs: texts(64) } })],
  [2, 'call that hangs up', ({ url }) => readAndLeave(`${url}/predict?text=${text()}`, 5)],
  [5, 'prediction, polled', async (target) => ask(await created(target, { input: { text: text() } }))],
  [5, 'prediction, waited for', (target) => created(target, { input: { text: text() } }, { Prefer: 'wait=5' })],
  [
    3,
    'long poll',
    async (target) => ask(await created(target, { input: { text: text() } }), { headers: { Prefer: 'wait=5' } }),
  ],
  [
    3,
    'cancel',
    async (target) => ask(`${await created(target, { input: { inputs: texts(32) } })}/cancel`, { method: 'POST' }),
  ],
  [2, 'erase', async (target) => ask(await created(target, { input: { text: text() } }), { method: 'DELETE' })],
  [
    2,
    'event stream of a prediction',
    async (target) => readAndLeave(`${await created(target, { input: { text: text() } })}/stream`, 3_000),
  ],
  [3, 'webhook', (target) => created(target, { input: { text: text() }, webhook: `${target.hook}/${randomUUID()}` })],
  [
    2,
    'idempotency key, twice',
    async (target) => {
      const key = { 'Idempotency-Key': randomUUID() }
      const body = { input: { text: text() } }
      await Promise.all([created(target, body, key), created(target, body, key)])
    },
  ],
  [1, 'file: upload, list, read, delete', fileRound],
  [1, 'batch, followed', batchRound],
  [1, 'batch, cancelled', async ({ url }) => cancelBatch(new BatchCaller(url))],
  [4, 'bad input', ({ url }) => badInput(url)],
  [
    2,
    'a refusal: too many texts, unknown model',
    ({ url }) => ask(`${url}/predict`, { json: { inputs: 'a', model: 'no' } }),
  ],
  [
    2,
    'lists',
    async ({ url }) => Promise.all([ask(`${url}/v1/predictions`), ask(`${url}/v1/batches`), ask(`${url}/v1/files`)]),
  ],
  [
    1,
    'models, queue, health, metrics',
    async ({ url }) => Promise.all(['models', 'queue'].map((name) => ask(`${url}/v1/${name}`))),
  ],
  [
    1,
    'dashboard',
    ({ url }) => readAndLeave(`${url}/admin/queues/api/queues`, 5_000, { headers: basic('admin:test-password') }),
  ],
  [
    1,
    'dashboard, wrong login',
    ({ url }) => readAndLeave(`${url}/admin/queues`, 5_000, { headers: basic('admin:wrong') }),
  ],
]

async function fileRound({ url }: Target): Promise<void> {
  const caller = new BatchCaller(url)
  const { id } = (await (await caller.upload(lines(200))).json()) as { id: string }
  await ask(`${url}/v1/files`)
  await readAndLeave(`${url}/v1/files/${id}/content`, 5_000)
  await caller.call(`/v1/files/${id}`, { method: 'DELETE' })
}

async function batchRound({ url }: Target): Promise<void> {
  const { id } = await new BatchCaller(url).run(lines(100))
  await readAndLeave(`${url}/v1/batches/${id}/results?follow=1`, 10_000)
}

async function cancelBatch(caller: BatchCaller): Promise<void> {
  const { id } = await caller.run(lines(300))
  await caller.call(`/v1/batches/${id}/cancel`, { method: 'POST' })
}

async function badInput(url: string): Promise<void> {
  const [, path, body] = hostile[counter % hostile.length] ?? ['', '/predict', '{']
  await readAndLeave(url + path, 5_000, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body })
}

/** Repeats random actions, by weight; counts them. @param random 0 to 1. */
export function nextAction(random: number): [string, Action] {
  let rest = random * ACTIONS.reduce((sum, [weight]) => sum + weight, 0)
  for (const [weight, name, action] of ACTIONS) {
    rest -= weight
    if (rest < 0) return [name, action]
  }
  throw new Error('random must be below 1')
}
