import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { ServedModel } from '../../../src/fleet/fleet.ts'
import {
  type AdmissionContext,
  admit,
  checkDeadline,
  checkWait,
  OverloadedError,
  takeWaitingPlace,
} from '../../../src/predict/admission.ts'
import { PlaceLimiter } from '../../../src/predict/place-limiter.ts'

const model = { name: 'cola', workers: [{}] } as ServedModel

function setUp({ memoryShare = 0.1, places = 4 } = {}) {
  const refused: string[] = []
  let wait = 0
  const context = {
    config: { defaultModel: 'cola', waitTimeout: 30_000, maxQueueSeconds: 60_000 },
    fleet: {
      memoryShare,
      workers: [],
      wait: () => wait,
      load: { add: (_model: string, _lane: string, _owner: string, work: number) => (wait += work) },
    },
    weightOf: () => 1,
    waitingPlaces: new PlaceLimiter(places, () => 1),
    metrics: { refused: { inc: ({ reason }: { reason: string }) => refused.push(reason) } },
  } as unknown as AdmissionContext
  const ask = (lane: 'interactive' | 'async', work: number) => admit(context, { model }, { lane, owner: 'a', work })
  return { context, refused, ask }
}

function refusal(check: () => unknown): OverloadedError {
  try {
    check()
  } catch (error) {
    return error as OverloadedError
  }
  throw new Error('was admitted')
}

describe('admission', () => {
  it('counts work that was admitted a moment ago, so that requests of one moment see each other', () => {
    const { ask } = setUp()
    let admitted = 0
    const error = refusal(() => {
      for (;;) {
        ask('async', 13_000)
        admitted += 1
      }
    })
    expect([error.status, admitted]).toEqual([429, 5])
  })

  it('refuses a plain call that would not start within half of its timeout', () => {
    const { ask, refused } = setUp()
    ask('interactive', 15_000)
    ask('interactive', 5_000)
    expect(Number(refusal(() => ask('interactive', 1)).headers['Retry-After'])).toBeGreaterThanOrEqual(5)
    expect(refused).toEqual(['queue_full'])
  })

  it('compares the expected end with the deadline: 422 when the work alone is too long, else 429', () => {
    expect(() => checkDeadline(5_000, 1_000, 5_000, 0)).not.toThrow()
    const [alone, queued] = [
      refusal(() => checkDeadline(9_000, 6_000, 5_000, 0)),
      refusal(() => checkDeadline(9_000, 1_000, 5_000, 0)),
    ]
    expect([alone.status, alone.headers['Retry-After']]).toEqual([422, undefined])
    expect([queued.status, queued.headers['Retry-After']]).toEqual([429, '4'])
    for (const { members } of [alone, queued]) {
      expect(members['code']).toBe('deadline_unreachable')
      expect(Date.parse(String(members['earliest_completion'])) - Date.now()).toBeGreaterThan(8_000)
    }
  })

  it('has a limited number of waiting calls', () => {
    const { context, refused } = setUp({ places: 1 })
    const release = takeWaitingPlace(context, 'a')
    expect(refusal(() => takeWaitingPlace(context, 'a')).reason).toBe('too_many_waiting')
    release()
    expect(() => takeWaitingPlace(context, 'a')).not.toThrow()
    expect(refused).toEqual(['too_many_waiting'])
  })

  it('lets a client in that waits as long as Retry-After says, while the work before it is done and none is added', () => {
    const limits = fc.integer({ min: 1, max: 60_000 })
    const randoms = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 21, maxLength: 21 })
    fc.assert(
      fc.property(limits, fc.integer({ min: 1, max: 600_000 }), randoms, (limit, excess, random) => {
        let wait = limit + excess
        let refusals = 0
        for (const each of random) {
          if (wait <= limit) break
          refusals += 1
          wait -= 1_000 * Number(refusal(() => checkWait(wait, limit, each)).headers['Retry-After'])
        }
        expect(() => checkWait(wait, limit, 0)).not.toThrow()
        expect(refusals, 'one refusal for each 30 s of excess').toBeLessThanOrEqual(Math.ceil(excess / 30_000))
      }),
    )
  })

  it('names whole seconds from 1 to 30 in Retry-After', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1_001, max: 1e7 }), fc.double({ min: 0, max: 1, noNaN: true }), (wait, random) => {
        const seconds = Number(refusal(() => checkWait(wait, 1_000, random)).headers['Retry-After'])
        expect(Number.isInteger(seconds) && seconds >= 1 && seconds <= 30).toBe(true)
      }),
    )
  })
})
