// The benchmark of a model at its start stays within memory and time, also for models of very long texts.
import { expect, it } from 'vitest'
import { type Measurable, measureSpeed } from '../../../../src/worker/inference/benchmark.ts'

function modelOf(maxTokens: number, msPerToken: number) {
  const lengths = new Set<number>()
  const model: Measurable = {
    maxTokens,
    runShape: async (texts, tokens) => {
      lengths.add(tokens)
      const end = performance.now() + texts * tokens * msPerToken
      while (performance.now() < end);
    },
    batchLogits: async (texts) => texts.map(() => [0]),
  }
  return { model, lengths }
}

it('runs no length above 512 tokens, whatever the model takes', async () => {
  const { model, lengths } = modelOf(8_192, 0)
  const speeds = await measureSpeed(model)
  expect([...lengths]).toEqual([8, 32, 128, 512])
  expect(speeds.map(({ tokens }) => tokens)).toEqual([8, 32, 128, 512])
})

it('leaves lengths out that would take too long', async () => {
  const { model, lengths } = modelOf(512, 1)
  await measureSpeed(model, 200)
  expect(Math.max(...lengths)).toBeLessThan(512)
})
