import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Coalescer } from '../../../src/predict/coalescer.ts'

/** A coalescer whose turns the test ends by hand. */
function byHand(maxItems = 64) {
  const groups: string[][] = []
  const turns: Array<() => void> = []
  const coalescer = new Coalescer<string, string>({
    shareOf: () => 1 / maxItems,
    schedule: (send) => turns.push(send),
    send: async (items) => {
      groups.push(items)
      return items.map((item) => (item.startsWith('bad') ? new Error(`no ${item}`) : item.toUpperCase()))
    },
  })
  const endTurn = () => turns.splice(0).forEach((send) => send())
  return { coalescer, groups, endTurn }
}

describe('Coalescer, used', () => {
  it('sends what came in one turn as one group, in order, and answers each with its own', async () => {
    const { coalescer, groups, endTurn } = byHand()
    const answers = Promise.all(['a', 'b', 'c'].map((item) => coalescer.submit(item)))
    expect(groups).toEqual([])
    endTurn()
    expect(groups).toEqual([['a', 'b', 'c']])
    expect(await answers).toEqual(['A', 'B', 'C'])
  })

  it('does not let a full group wait for the turn to end, nor send it twice', async () => {
    const { coalescer, groups, endTurn } = byHand(2)
    const answers = Promise.all(['a', 'b', 'c'].map((item) => coalescer.submit(item)))
    expect(groups).toEqual([['a', 'b']])
    endTurn()
    expect(await answers).toEqual(['A', 'B', 'C'])
    expect(groups).toEqual([['a', 'b'], ['c']])
  })

  it('gathers what arrives while a group is handed over, however many turns that takes', async () => {
    const groups: string[][] = []
    const accepted: Array<() => void> = []
    const coalescer = new Coalescer<string, string>({
      shareOf: () => 1 / 3,
      send: async (items, onAccepted) => {
        groups.push(items)
        accepted.push(onAccepted)
        await new Promise(() => undefined)
        return items
      },
    })
    const turn = () => new Promise(setImmediate)
    const submit = (item: string) => void coalescer.submit(item)
    submit('a')
    await turn()
    submit('b')
    await turn()
    submit('c')
    await turn()
    expect(groups).toEqual([['a']])
    accepted[0]?.()
    expect(groups).toEqual([['a'], ['b', 'c']])
    for (const item of ['d', 'e', 'f']) submit(item)
    expect(groups).toEqual([['a'], ['b', 'c'], ['d', 'e', 'f']])
    submit('g')
    accepted[1]?.()
    accepted[1]?.()
    await turn()
    expect(groups).toHaveLength(3)
    accepted[2]?.()
    expect(groups.at(-1)).toEqual(['g'])
  })

  it('sends a lone item by itself after the turn, with the real schedule', async () => {
    const groups: number[][] = []
    const coalescer = new Coalescer<number, number>({
      shareOf: () => 1 / 64,
      send: async (items) => {
        groups.push(items)
        return items
      },
    })
    expect(await coalescer.submit(1)).toBe(1)
    expect(await Promise.all([coalescer.submit(2), coalescer.submit(3)])).toEqual([2, 3])
    expect(groups).toEqual([[1], [2, 3]])
  })

  it('gives every item its own answer, whatever the sizes', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.string(), { maxLength: 50 }), fc.integer({ min: 1, max: 9 }), async (items, max) => {
        const { coalescer, groups, endTurn } = byHand(max)
        const answers = Promise.allSettled(items.map((item) => coalescer.submit(item)))
        endTurn()
        const values = (await answers).map((answer) => (answer.status === 'fulfilled' ? answer.value : 'rejected'))
        expect(values).toEqual(items.map((item) => (item.startsWith('bad') ? 'rejected' : item.toUpperCase())))
        expect(groups.flat()).toEqual(items)
        expect(groups.every((group) => group.length <= max)).toBe(true)
      }),
    )
  })
})

describe('Coalescer, abused', () => {
  it('lets a bad item fail alone', async () => {
    const { coalescer, endTurn } = byHand()
    const answers = Promise.allSettled(['a', 'bad one', 'c'].map((item) => coalescer.submit(item)))
    endTurn()
    expect((await answers).map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
  })

  it("rejects every item of a group that failed as a whole, and only that group's", async () => {
    let fail = true
    const coalescer = new Coalescer<string, string>({
      shareOf: () => 1 / 64,
      send: async (items) => {
        if (fail) throw new Error('away')
        return items
      },
    })
    const first = await Promise.allSettled([coalescer.submit('a'), coalescer.submit('b')])
    expect(first.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
    fail = false
    expect(await coalescer.submit('c')).toBe('c')
  })

  it('says both numbers when there are fewer answers than items', async () => {
    const coalescer = new Coalescer<string, string>({ shareOf: () => 1 / 64, send: async () => ['only one'] })
    await expect(Promise.all([coalescer.submit('a'), coalescer.submit('b')])).rejects.toThrow('1 outcomes for 2 items')
  })
})
