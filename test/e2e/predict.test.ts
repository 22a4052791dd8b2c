// Synchronous predictions through a real queue and a real worker.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { emptyRedis } from '../helpers/redis.ts'
import { type Stack, startStack } from '../helpers/stack.ts'

let stack: Stack
beforeAll(async () => {
  stack = await startStack({ redisUrl: await emptyRedis() })
})
afterAll(() => stack?.stop())

interface LabelScore {
  label: string
  score: number
}

const text = 'The boy is sitting on a bench'

async function post(path: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(stack.url + path, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', ...headers },
    body: JSON.stringify(body),
  })
}
async function answer<T>(path: string, body: unknown): Promise<T> {
  const response = await post(path, body)
  expect(response.status).toBe(200)
  return (await response.json()) as T
}
const labelsOf = (scores: LabelScore[]) => scores.map(({ label }) => label)

describe('GET /predict', () => {
  it('returns labeled scores, highest first, with a sum of 1', async () => {
    const response = await fetch(`${stack.url}/predict?text=${encodeURIComponent(text)}`)
    expect(response.status).toBe(200)
    const scores = (await response.json()) as LabelScore[]
    expect(labelsOf(scores).sort()).toEqual(['negative', 'positive'])
    expect(scores[0]?.score).toBeGreaterThanOrEqual(scores[1]?.score ?? 1)
    expect(scores.reduce((sum, { score }) => sum + score, 0)).toBeCloseTo(1, 6)
  })

  it('returns model, revision, worker, timings and request id in headers, and is not cached', async () => {
    const response = await fetch(`${stack.url}/predict?text=a`, { headers: { 'X-Request-Id': 'mine-1' } })
    expect(response.headers.get('x-request-id')).toBe('mine-1')
    expect(response.headers.get('x-model')).toBe('tiny-fp32')
    expect(response.headers.get('x-model-revision')).toMatch(/^[0-9a-f]{8,}$/)
    expect(response.headers.get('x-worker')).toBeTruthy()
    expect(response.headers.get('cache-control')).toBe('no-store')
    expect(response.headers.get('server-timing')).toMatch(/^queue;dur=[\d.]+, tokenize;dur=[\d.]+, infer;dur=[\d.]+$/)
  })

  it('accepts any text', async () => {
    for (const odd of [
      '\0',
      '\u202eabc',
      '👩‍👩‍👧‍👦',
      'e\u0301'.repeat(500),
      '日本語の文',
      'a\u200bb',
      'word '.repeat(2_000),
    ]) {
      const response = await fetch(`${stack.url}/predict?text=${encodeURIComponent(odd)}`)
      expect(response.status, JSON.stringify(odd.slice(0, 20))).toBe(200)
    }
  })
})

describe('POST /predict', () => {
  it('answers one text with a flat list, many with a list of lists in their order', async () => {
    const one = await answer<LabelScore[]>('/predict', { inputs: text })
    const many = await answer<LabelScore[][]>('/predict', { inputs: ['another one', text, 'a third'] })
    expect(many).toHaveLength(3)
    expect(many[1]).toEqual(one)
    expect(await answer('/predict', { inputs: [text] })).toEqual([one])
    expect(await answer('/invocations', { inputs: text })).toEqual(one)
    expect(await answer('/predict', { text })).toEqual(one)
  })

  it('splits texts over several jobs, and keeps their order', async () => {
    const inputs = Array.from({ length: 200 }, (_each, index) => `text number ${index} ${'x '.repeat(index % 40)}`)
    const all = await answer<LabelScore[][]>('/predict', { inputs })
    expect(all).toHaveLength(200)
    for (const index of [0, 63, 64, 199]) {
      expect(await answer('/predict', { inputs: inputs[index] })).toEqual(all[index])
    }
  })

  it('serves every model, by name or owner/name, with its own score function', async () => {
    const multi = await answer<LabelScore[]>('/predict', { inputs: text, model: 'tiny-multilabel' })
    expect(multi).toHaveLength(4)
    expect(multi.every(({ score }) => score > 0 && score < 1)).toBe(true)
    const regression = await answer<LabelScore[]>('/predict', { inputs: text, model: 'anybody/tiny-regression' })
    expect(regression).toHaveLength(1)
    const [forth, back] = await answer<LabelScore[][]>('/predict', {
      inputs: [
        ['a cat sleeps', 'an animal rests'],
        ['an animal rests', 'a cat sleeps'],
      ],
      model: 'tiny-pairs',
    })
    expect(forth).toHaveLength(3)
    expect(forth).not.toEqual(back)
  })

  it('applies the options', async () => {
    const raw = await answer<LabelScore[]>('/predict', { inputs: text, raw_scores: true })
    const none = await answer<LabelScore[]>('/predict', { inputs: text, parameters: { function_to_apply: 'none' } })
    expect(raw).toEqual(none)
    expect(raw.reduce((sum, { score }) => sum + score, 0)).not.toBeCloseTo(1, 3)
    expect(await answer('/predict', { inputs: text, parameters: { top_k: 1 } })).toHaveLength(1)
    const long = `first ${'word '.repeat(2_000)} last`
    const right = await answer('/predict', { inputs: long })
    const left = await answer('/predict', { inputs: long, truncation_direction: 'Left' })
    expect(left).not.toEqual(right)
  })

  it('returns the error of one item alone, or in its place in the answer', async () => {
    const body = { inputs: ['good', 'word '.repeat(2_000), 'also good'], truncate: false }
    const strict = await post('/predict', body)
    expect(strict.status).toBe(422)
    expect(((await strict.json()) as { errors: { index: number }[] }).errors.map(({ index }) => index)).toEqual([1])
    const lenient = await post('/predict', body, { Prefer: 'handling=lenient' })
    expect(lenient.status).toBe(200)
    expect(lenient.headers.get('preference-applied')).toBe('handling=lenient')
    const [first, second, third] = (await lenient.json()) as [LabelScore[], { error: string }, LabelScore[]]
    expect([first.length, third.length]).toEqual([2, 2])
    expect(second.error).toMatch(/tokens/)
  })

  it('pins a revision, and answers 404 when no worker serves it', async () => {
    const revision = (await fetch(`${stack.url}/predict?text=a`)).headers.get('x-model-revision')
    expect((await post('/predict', { inputs: text, model: `tiny-fp32@${revision}` })).status).toBe(200)
    expect((await post('/predict', { inputs: text, model: 'tiny-fp32@0123456789ab' })).status).toBe(404)
  })
})

describe("Hugging Face's routes", () => {
  it('always return nested lists', async () => {
    const one = await answer<LabelScore[]>('/predict', { inputs: text })
    expect(await answer('/models/tiny-fp32', { inputs: text })).toEqual([one])
    expect(await answer('/models/someone/tiny-fp32', { inputs: [text] })).toEqual([one])
    expect(await answer('/', { inputs: text, parameters: { top_k: 1 } })).toEqual([[one[0]]])
  })
})

describe('concurrent requests', () => {
  it('get exactly the same scores as single requests', async () => {
    const texts = Array.from(
      { length: 60 },
      (_each, index) => `Sentence ${index} ${'and more '.repeat(index % 9)}ends.`,
    )
    const alone: string[] = []
    for (const each of texts) alone.push(JSON.stringify(await answer('/predict', { inputs: each })))
    const crowd = await Promise.all(
      Array.from({ length: 600 }, async (_each, index) =>
        JSON.stringify(await answer('/predict', { inputs: texts[index % texts.length] })),
      ),
    )
    expect(crowd).toEqual(Array.from({ length: 600 }, (_each, index) => alone[index % alone.length]))
  })
})
