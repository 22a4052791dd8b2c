// Unmodified clients of other products.
import { InferenceClient } from '@huggingface/inference'
import Replicate from 'replicate'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { emptyRedis } from '../helpers/redis.ts'
import { type Stack, startStack } from '../helpers/stack.ts'

let stack: Stack
let replicate: Replicate
const text = 'The boy is sitting on a bench'

beforeAll(async () => {
  stack = await startStack({ redisUrl: await emptyRedis(), apiEnv: { API_KEYS: 'ann:the-secret-of-ann' } })
  replicate = new Replicate({ auth: 'the-secret-of-ann', baseUrl: `${stack.url}/v1` })
})
afterAll(() => stack?.stop())

async function predictDirectly(): Promise<unknown> {
  const headers = { Authorization: 'Bearer the-secret-of-ann', 'Content-Type': 'application/json' }
  const response = await fetch(`${stack.url}/predict`, {
    method: 'POST',
    headers,
    body: JSON.stringify({ inputs: text }),
  })
  return response.json()
}

describe('@huggingface/inference', () => {
  it('classifies at the local endpoint, with the labels and scores of /predict', async () => {
    const client = new InferenceClient('the-secret-of-ann', { endpointUrl: `${stack.url}/models/tiny-fp32` })
    expect(await client.textClassification({ inputs: text })).toEqual(await predictDirectly())
    const [best, ...rest] = await client.textClassification({ inputs: text, parameters: { top_k: 1 } })
    expect([best?.label, rest]).toEqual([expect.any(String), []])
  })

  it('classifies at the root of the server', async () => {
    const client = new InferenceClient('the-secret-of-ann', { endpointUrl: stack.url })
    expect(await client.textClassification({ inputs: text })).toEqual(await predictDirectly())
  })

  it('reports an error of the server', async () => {
    const client = new InferenceClient('wrong', { endpointUrl: `${stack.url}/models/tiny-fp32` })
    await expect(client.textClassification({ inputs: text })).rejects.toThrow(/API key/)
  })
})

describe('replicate', () => {
  it('runs a model and returns its output', async () => {
    expect(await replicate.run('owner/tiny-fp32', { input: { text } })).toEqual(await predictDirectly())
  })

  it('runs a version by polling', async () => {
    const { version } = await replicate.predictions.create({ model: 'owner/tiny-fp32', input: { text }, wait: 10 })
    const output = await replicate.run(`owner/tiny-fp32:${version}`, {
      input: { text },
      wait: { mode: 'poll', interval: 20 },
    })
    expect(output).toEqual(await predictDirectly())
  })

  it('creates, gets, waits for and lists predictions', async () => {
    const created = await replicate.predictions.create({ version: 'tiny-fp32', input: { text } })
    const done = await replicate.wait(created, { interval: 20 })
    expect(done).toMatchObject({ id: created.id, status: 'succeeded', output: await predictDirectly() })
    expect((await replicate.predictions.get(created.id)).status).toBe('succeeded')
    const { results } = await replicate.predictions.list()
    expect(results.map(({ id }) => id)).toContain(created.id)
  })

  it('cancels a prediction', async () => {
    const inputs = Array.from({ length: 1_000 }, () => 'many words '.repeat(400))
    const created = await replicate.predictions.create({
      version: 'tiny-fp32',
      input: { inputs: inputs.slice(0, 200) },
    })
    const canceled = await replicate.predictions.cancel(created.id)
    expect(canceled.status).toBe('canceled')
    expect(await replicate.wait(created, { interval: 20 })).toMatchObject({ status: 'canceled', output: null })
  })
})
