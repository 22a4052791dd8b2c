// Jobs, results and replies of other versions, and damaged ones: read, or refused with an error of the contract.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  NewerVersionError,
  parseBatchJob,
  parseDeliveryJob,
  parseTextsJob,
  parseTextsResult,
  UnknownJobVersionError,
} from '../../../src/queue/job.ts'
import { resultOf } from '../../../src/queue/job-state.ts'
import { parseReply } from '../../../src/queue/replies.ts'
import { encodeResult } from '../../../src/queue/result-columns.ts'
import { mutated, PRIVATE_TEXT, validJob } from '../../helpers/fuzz/payloads.ts'
import { fuzzOptions } from '../../helpers/fuzz/seed.ts'

const row = { logits: [0.5, -1], tokens: 3, ms: { queue: 1, tokenize: 2, infer: 3 }, run: 1 }
const error = { error: { code: 'Backend', message: 'no' } }
const result = { outcome: 'done', revision: 'r', worker: 'w', startedAt: 1, rows: [row, error, row] }
const stored = encodeResult(result, 2) as { rows: object }
const options = fuzzOptions(500)

/** The message, unless it is an error of another kind. */
function refusalOf(parse: () => unknown): string | undefined {
  try {
    parse()
    return undefined
  } catch (thrown) {
    const { message } = thrown as Error
    const isExpected = thrown instanceof UnknownJobVersionError || thrown instanceof NewerVersionError
    return isExpected || message.startsWith('does not fit the job contract') ? message : `unexpected: ${String(thrown)}`
  }
}

describe('payloads', () => {
  const parsers = [
    ['a job with texts', parseTextsJob, validJob],
    ['a job of a batch', parseBatchJob, { v: 1, batch: 'a_b' }],
    ['a job of a webhook', parseDeliveryJob, { v: 1, owner: 'a', uuid: 'b', delivery: 'c' }],
    ['a result of version 1', parseTextsResult, result],
    ['a result of version 2', parseTextsResult, stored],
  ] as const

  it.each(parsers)('%s is read, or refused without a text', (_what, parse, valid) => {
    expect(refusalOf(() => parse(valid))).toBeUndefined()
    fc.assert(
      fc.property(mutated(valid), (data) => {
        const message = refusalOf(() => parse(data)) ?? ''
        expect(message).not.toMatch(/^unexpected/)
        expect(message).not.toContain(PRIVATE_TEXT)
      }),
      options,
    )
  })

  it('columns of a result are read, or refused', () => {
    fc.assert(
      fc.property(mutated(stored.rows), (rows) => {
        expect(refusalOf(() => parseTextsResult({ ...stored, rows })) ?? '').not.toMatch(/^unexpected/)
      }),
      options,
    )
  })

  it('a version before or after is refused as one, with every member that it may have', () => {
    for (const v of [2, 3, 99]) {
      expect(() => parseTextsJob({ v, anything: PRIVATE_TEXT })).toThrow(UnknownJobVersionError)
      expect(() => parseTextsResult({ ...stored, v: v + 1 })).toThrow(NewerVersionError)
    }
    expect(parseTextsJob({ ...validJob, v: 0, new_member: 1 })).toMatchObject({ v: 0, model: 'tiny-fp32' })
  })

  it('no stored text and no message throws', () => {
    const texts = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.json(),
      mutated(stored).map((each) => JSON.stringify(each)),
    )
    fc.assert(
      fc.property(texts, (text) => {
        resultOf(text)
        parseReply(text)
      }),
      options,
    )
  })
})
