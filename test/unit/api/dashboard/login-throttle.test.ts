import { describe, expect, it } from 'vitest'
import { type LoginOutcome, LoginThrottle, networkOf } from '../../../../src/api/dashboard/login-throttle.ts'
import { AppError } from '../../../../src/errors.ts'

const open = new AbortController().signal
const wrong = async () => false
const right = async () => true

function throttleAt(start = 1_000_000) {
  const clock = { now: start }
  const outcomes: LoginOutcome[] = []
  const warned: [string, number][] = []
  const throttle = new LoginThrottle({
    now: () => clock.now,
    onOutcome: (outcome) => outcomes.push(outcome),
    onWrong: (address, failures) => warned.push([address, failures]),
  })
  const tryLogin = (address: string, isCorrect: () => Promise<boolean>) =>
    throttle.check(address, open, isCorrect).catch((error: unknown) => (error as AppError).status)
  return { clock, outcomes, warned, throttle, tryLogin }
}

describe('LoginThrottle', () => {
  it('runs one check at a time and refuses more than a short queue', async () => {
    const { throttle } = throttleAt()
    let running = 0
    let most = 0
    let checks = 0
    const slow = async () => {
      checks += 1
      running += 1
      most = Math.max(most, running)
      await new Promise((resolve) => setImmediate(resolve))
      running -= 1
      return true
    }
    const logins = Array.from({ length: 50 }, (_, index) => throttle.check(`10.0.0.${index}`, open, slow))
    const settled = await Promise.allSettled(logins)
    const refused = settled.flatMap((each) => (each.status === 'rejected' ? [each.reason as AppError] : []))
    expect(most).toBe(1)
    expect(checks).toBe(9)
    expect(refused).toHaveLength(41)
    expect(refused[0]).toBeInstanceOf(AppError)
    expect([refused[0]?.status, refused[0]?.headers]).toEqual([429, { 'Retry-After': '1' }])
  })

  it('leaves out the check of a client that is gone before its turn', async () => {
    const { throttle, outcomes } = throttleAt()
    const gone = new AbortController()
    const first = throttle.check('10.0.0.1', open, right)
    const second = throttle.check('10.0.0.2', gone.signal, right)
    gone.abort()
    expect(await Promise.all([first, second])).toEqual([true, false])
    expect(outcomes).toEqual(['accepted'])
  })

  it('pauses a network after five wrong passwords, twice as long with each further one, and not others', async () => {
    const { clock, tryLogin, warned } = throttleAt()
    for (let each = 0; each < 5; each += 1) expect(await tryLogin('10.0.0.1', wrong)).toBe(false)
    expect(await tryLogin('10.0.0.1', right)).toBe(429)
    expect(await tryLogin('10.0.0.2', right)).toBe(true)
    clock.now += 1_000
    expect(await tryLogin('10.0.0.1', wrong)).toBe(false)
    clock.now += 1_999
    expect(await tryLogin('10.0.0.1', right)).toBe(429)
    clock.now += 1
    expect(await tryLogin('10.0.0.1', right)).toBe(true)
    expect(await tryLogin('10.0.0.1', wrong)).toBe(false)
    expect(warned.map(([, failures]) => failures)).toEqual([1, 2, 3, 4, 5, 6, 1])
  })

  it('limits wrong passwords of all networks together, but not networks with an accepted login', async () => {
    const { clock, tryLogin, outcomes } = throttleAt()
    expect(await tryLogin('192.0.2.1', right)).toBe(true)
    for (let each = 0; each < 20; each += 1) expect(await tryLogin(`10.0.${each}.1`, wrong)).toBe(false)
    expect(await tryLogin('10.1.0.1', wrong)).toBe(429)
    expect(await tryLogin('192.0.2.1', right)).toBe(true)
    clock.now += 3_000
    expect(await tryLogin('10.1.0.1', wrong)).toBe(false)
    expect(await tryLogin('10.1.0.2', wrong)).toBe(429)
    expect(outcomes.filter((each) => each === 'throttled')).toHaveLength(2)
  })

  it.each([
    ['192.0.2.7', '192.0.2.7'],
    ['::ffff:192.0.2.7', '192.0.2.7'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2'],
    ['2001:db8:1:2::1', '2001:db8:1:2'],
    ['2001:db8::1', '2001:db8:0:0'],
    ['::1', ':0:0:0'],
    ['', ''],
  ])('counts %s as the network %s', (address, network) => {
    expect(networkOf(address)).toBe(network)
  })
})
