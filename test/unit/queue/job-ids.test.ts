import { describe, expect, it } from 'vitest'
import { chunkJobId, newTextsJobId, parseJobId } from '../../../src/queue/job-ids.ts'
import { uuidTime } from '../../../src/records/ids.ts'

const BATCH = 'public_0190f3f2-7c1e-7000-8000-000000000000'

describe('a job id', () => {
  it('of anonymous texts holds the time at which it was made', () => {
    const job = parseJobId(newTextsJobId())
    expect(job.kind).toBe('texts')
    expect(Math.abs(Date.now() - (uuidTime(job.kind === 'texts' ? job.uuid : '') ?? 0))).toBeLessThan(60_000)
  })

  it('of a chunk names its batch', () => {
    expect(parseJobId(chunkJobId(BATCH, 1_024, 3, ['content']))).toEqual({ kind: 'chunk', batch: BATCH })
  })

  it('of any other form is a prediction of that record', () => {
    expect(parseJobId(BATCH)).toEqual({ kind: 'prediction', record: BATCH })
    expect(parseJobId('')).toEqual({ kind: 'prediction', record: '' })
  })

  it('of a chunk is the same for the same content and place, and different for any other', () => {
    const content = [{ model: 'cola' }, 'right', [{ text: 'a' }]]
    const id = chunkJobId('public_x', 1_024, 2, content)
    expect(chunkJobId('public_x', 1_024, 2, structuredClone(content))).toBe(id)
    expect(id).toMatch(/^public_x-1024-2-[\w-]{12}$/)
    const others = [
      chunkJobId('public_y', 1_024, 2, content),
      chunkJobId('public_x', 0, 2, content),
      chunkJobId('public_x', 1_024, 3, content),
      chunkJobId('public_x', 1_024, 2, [{ model: 'cola' }, 'left', [{ text: 'a' }]]),
      chunkJobId('public_x', 1_024, 2, [{ model: 'cola' }, 'right', [{ text: 'b' }]]),
    ]
    expect(new Set([id, ...others]).size).toBe(others.length + 1)
  })
})
