// The contract between processes of different versions: what a newer one wrote is recognized, and nothing else is.
import { describe, expect, it } from 'vitest'
import { NewerVersionError, parseTextsJob, parseTextsResult, UnknownJobVersionError } from '../../../src/queue/job.ts'

const job = { v: 1, model: 'm', items: [{ text: 'a secret' }], truncate: 'right', replyTo: 'api' }
const result = { outcome: 'done', revision: 'r', worker: 'w', startedAt: 1, rows: [] }

describe('a job', () => {
  it.each([{ ...job, v: 2 }, { ...job, v: '1' }, { ...job, truncate: 'middle' }, null, 'text'])(
    '%j is left to a newer process',
    (data) => {
      expect(() => parseTextsJob(data)).toThrow(UnknownJobVersionError)
    },
  )

  it('with further members is read', () => {
    expect(parseTextsJob({ ...job, urgency: 'high' })).toEqual(job)
  })

  it('of this version that does not fit is an error with the path and without the text', () => {
    const read = () => parseTextsJob({ ...job, items: [{ text: 'a secret', pair: 5 }] })
    expect(read).toThrow('items.0.pair')
    expect(read).not.toThrow('secret')
    expect(read).not.toThrow(UnknownJobVersionError)
  })
})

describe('a result', () => {
  it.each([
    { ...result, v: 3, rows: 'compressed' },
    { ...result, outcome: 'postponed' },
  ])('%j was written by a newer worker', (data) => {
    expect(() => parseTextsResult(data)).toThrow(NewerVersionError)
  })

  it('with an unknown error of a row counts as a failure of that row', () => {
    const rows = [{ error: { code: 'Quota', message: 'm' } }]
    expect(parseTextsResult({ ...result, rows }).rows).toEqual([{ error: { code: 'Backend', message: 'm' } }])
  })

  it('that does not fit is an error of another kind', () => {
    expect(() => parseTextsResult({ ...result, rows: 5 })).toThrow('does not fit')
  })
})
