// Used memory of Redis between samples.
import type { Redis } from 'ioredis'
import { expect, it } from 'vitest'
import { RedisMemory } from '../../../src/redis/memory.ts'

const MB = 1_048_576

/** A Redis with `used` bytes of 100 MB, and the count of its samples. */
function memoryOf(used: { bytes: number }) {
  let samples = 0
  const info = async () => {
    samples += 1
    return `used_memory:${used.bytes}\r\nmaxmemory:${100 * MB}\r\n`
  }
  const memory = new RedisMemory({ info } as unknown as Redis, (error) => {
    throw error
  })
  return { memory, samples: () => samples }
}

it('counts what was added before a sample until the next one', async () => {
  const redis = { bytes: 10 * MB }
  const { memory } = memoryOf(redis)
  await memory.sample()
  memory.add(MB)
  expect(memory.used).toBe(11 * MB)
  await memory.sample()
  expect(memory.used).toBe(11 * MB)
  await memory.sample()
  expect(memory.used).toBe(10 * MB)
})

it('samples again when much was added, so that little of it counts twice', async () => {
  const redis = { bytes: 10 * MB }
  const { memory, samples } = memoryOf(redis)
  await memory.sample()
  for (let added = 0; added < 40; added++) {
    redis.bytes += MB
    memory.add(MB)
    await new Promise(setImmediate)
  }
  expect(memory.used).toBeGreaterThanOrEqual(50 * MB)
  expect(memory.used).toBeLessThan(56 * MB)
  expect(samples()).toBeLessThan(25)
})

it('does not sample for each small use', async () => {
  const { memory, samples } = memoryOf({ bytes: 10 * MB })
  await memory.sample()
  for (let count = 0; count < 100; count++) memory.add(1_000)
  await new Promise(setImmediate)
  expect(samples()).toBe(1)
})
