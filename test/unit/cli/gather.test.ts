import { expect, it } from 'vitest'
import { gather } from '../../../src/cli/gather.ts'
import { collect } from '../../helpers/collect.ts'

async function* numbers(count: number): AsyncGenerator<number> {
  for (let n = 1; n <= count; n += 1) yield n
}

it('groups available items, in order, up to the limit', async () => {
  expect(await collect(gather(numbers(7), 3))).toEqual([[1, 2, 3], [4, 5, 6], [7]])
})

it('does not delay a single item', async () => {
  let release: () => void = () => undefined
  const later = new Promise<void>((resolve) => (release = resolve))
  async function* slow() {
    yield 1
    await later
    yield 2
  }
  const groups = gather(slow(), 10)
  expect(await groups.next()).toEqual({ done: false, value: [1] })
  release()
  expect(await groups.next()).toEqual({ done: false, value: [2] })
  expect(await groups.next()).toMatchObject({ done: true })
})

it('yields the items before a failure, then throws it', async () => {
  async function* failing() {
    yield 1
    throw new Error('broken')
  }
  const groups = gather(failing(), 10)
  expect(await groups.next()).toEqual({ done: false, value: [1] })
  await expect(groups.next()).rejects.toThrow('broken')
})

it('yields no empty group', async () => expect(await collect(gather(numbers(0), 3))).toEqual([]))
