import { expect, it } from 'vitest'
import { withoutTexts } from '../../../../src/api/dashboard/dashboard.ts'
import { statusOf } from '../../../../src/api/routes/prediction-view.ts'
import type { Row, TextsResult } from '../../../../src/queue/job.ts'
import type { JobSnapshot } from '../../../../src/queue/job-state.ts'

const data = {
  v: 1,
  model: 'm',
  items: [{ text: 'secret words' }, { text: 'b' }],
  truncate: 'right' as const,
  replyTo: 'a',
}
const common = { data, addedAt: 0, attempts: 1 }
const good: Row = { logits: [1], tokens: 3, ms: { queue: 0, tokenize: 0, infer: 0 }, run: 1 }
const bad: Row = { error: { code: 'Backend', message: 'failed' } }
const completed = (outcome: TextsResult['outcome'], rows: Row[] = []): JobSnapshot => ({
  ...common,
  state: 'completed',
  finishedOn: 0,
  result: { outcome, revision: 'r', worker: 'w', startedAt: 0, rows },
})

it.each<[string, JobSnapshot, boolean, string]>([
  ['waiting', { ...common, state: 'waiting', position: 0 }, false, 'starting'],
  ['not added yet', { state: 'missing' }, false, 'starting'],
  ['active', { ...common, state: 'active', startedAt: 0 }, false, 'processing'],
  ['active, canceled', { ...common, state: 'active', startedAt: 0 }, true, 'canceled'],
  ['waiting, canceled', { ...common, state: 'waiting', position: 0 }, true, 'canceled'],
  ['done', completed('done', [good, good]), false, 'succeeded'],
  ['done after the cancel', completed('done', [good]), true, 'canceled'],
  ['done, a row failed', completed('done', [good, bad]), false, 'failed'],
  ['canceled', completed('canceled'), true, 'canceled'],
  ['aborted', completed('aborted'), false, 'aborted'],
  ['revision gone', completed('revision_gone'), false, 'failed'],
  ['failed', { ...common, state: 'failed', finishedOn: 0 }, false, 'failed'],
])('status of a job: %s', (_what, job, canceled, status) => {
  expect(statusOf(job, canceled)).toBe(status)
})

it('the dashboard shows the lengths of texts instead of the texts', () => {
  expect(withoutTexts(data)).toEqual({ ...data, items: '2 hidden, 13 characters' })
  expect(withoutTexts('anything')).toBe('hidden')
})
