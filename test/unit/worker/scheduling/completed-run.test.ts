import { expect, it } from 'vitest'
import { emptyColumns } from '../../../../src/worker/inference/ipc.ts'
import { completedRun } from '../../../../src/worker/scheduling/completed-run.ts'

const textOf = (owner: string) => ({ group: { owner } })

it('shares the time of a run by tokens', () => {
  const columns = { ...emptyColumns(3, 1), tokens: Uint32Array.of(10, 20, 70), paddedTokens: 210, tokenizeMs: 4 }
  expect(completedRun([textOf('ann'), textOf('bob'), textOf('bob')], columns, 50)).toEqual({
    texts: 3,
    tokens: 100,
    padding: 110,
    ms: 50,
    tokenizeMs: 4,
    usage: new Map([
      ['ann', { texts: 1, tokens: 10, ms: 5 }],
      ['bob', { texts: 2, tokens: 90, ms: 45 }],
    ]),
  })
})

it('shares the time of a run without tokens by texts', () => {
  const { usage, padding } = completedRun([textOf('ann'), textOf('bob')], emptyColumns(2, 1), 10)
  expect([...usage].map(([owner, { ms }]) => [owner, ms])).toEqual([
    ['ann', 5],
    ['bob', 5],
  ])
  expect(padding).toBe(0)
})
