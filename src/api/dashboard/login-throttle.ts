// Limits the checks of dashboard passwords. Each one may be an scrypt hash, which runs in the threads that file I/O needs.
import { isIPv6 } from 'node:net'
import { AppError } from '../../errors.ts'

/** `throttled`: refused without a check. */
export type LoginOutcome = 'accepted' | 'wrong' | 'throttled'

export interface LoginThrottleOptions {
  /** Epoch milliseconds. */
  now?: () => number
  onOutcome?: (outcome: LoginOutcome) => void
  /** A wrong password. @param failures wrong passwords of this network without a right one. */
  onWrong?: (address: string, failures: number) => void
}

interface Network {
  failures: number
  lastFailureAt: number
  /** No check before this time. */
  blockedUntil: number
}

/** Checks that may wait for the running one. */
const MAX_QUEUED = 8
/** Wrong passwords of one network before its first pause. The pause doubles with each further one. */
const FREE_FAILURES = 5
const FIRST_PAUSE_MS = 1_000
const MAX_PAUSE_MS = 60_000
/** A network's failures are forgotten after this time without a further one. */
const FORGET_MS = 15 * 60_000
/** Wrong passwords of all networks together: this many in a row, then one in each interval. */
const BURST = 20
const REFILL_MS = 3_000
const MAX_NETWORKS = 1_000

/** One check at a time and a short queue, with a growing pause for each network and a budget of failures for all. */
export class LoginThrottle {
  readonly #now: () => number
  readonly #onOutcome: (outcome: LoginOutcome) => void
  readonly #onWrong: (address: string, failures: number) => void
  /** Networks with failures, the latest failure last. */
  readonly #networks = new Map<string, Network>()
  /** Networks with an accepted login, the latest last: the budget of all does not limit them. */
  readonly #known = new Set<string>()
  #lastCheck: Promise<unknown> = Promise.resolve()
  #queued = 0
  #budget = BURST
  #refilledAt: number

  constructor({ now = Date.now, onOutcome = () => undefined, onWrong = () => undefined }: LoginThrottleOptions = {}) {
    this.#now = now
    this.#onOutcome = onOutcome
    this.#onWrong = onWrong
    this.#refilledAt = now()
  }

  /**
   * Runs `isCorrect` after the checks before it, and returns its value.
   * @param disconnected the check is left out when it has aborted before its turn.
   * @throws AppError 429 when the network or all together have to pause, or too many checks wait; false is then unknown.
   */
  async check(address: string, disconnected: AbortSignal, isCorrect: () => Promise<boolean>): Promise<boolean> {
    const network = networkOf(address)
    this.#rejectIfPaused(network)
    if (this.#queued > MAX_QUEUED) throw this.#tooMany(1_000)
    this.#queued += 1
    const turn = this.#lastCheck
      .then(async () => {
        if (disconnected.aborted) return false
        // Checks of the same network may have failed while this one waited.
        this.#rejectIfPaused(network)
        const accepted = await isCorrect()
        this.#record(address, network, accepted)
        return accepted
      })
      .finally(() => {
        this.#queued -= 1
      })
    this.#lastCheck = turn.catch(() => undefined)
    return turn
  }

  #rejectIfPaused(network: string): void {
    const now = this.#now()
    const pause = (this.#networks.get(network)?.blockedUntil ?? 0) - now
    if (pause > 0) throw this.#tooMany(pause)
    this.#refill(now)
    if (this.#budget < 1 && !this.#known.has(network)) throw this.#tooMany(REFILL_MS)
  }

  #refill(now: number): void {
    const refills = Math.floor((now - this.#refilledAt) / REFILL_MS)
    if (refills <= 0) return
    this.#budget = Math.min(BURST, this.#budget + refills)
    this.#refilledAt += refills * REFILL_MS
  }

  #record(address: string, network: string, accepted: boolean): void {
    this.#onOutcome(accepted ? 'accepted' : 'wrong')
    const before = this.#networks.get(network)
    this.#networks.delete(network)
    if (accepted) {
      this.#known.delete(network)
      addBounded(this.#known, network)
      return
    }
    const now = this.#now()
    this.#budget = Math.max(0, this.#budget - 1)
    const failures = (before && now - before.lastFailureAt < FORGET_MS ? before.failures : 0) + 1
    const pause = failures < FREE_FAILURES ? 0 : FIRST_PAUSE_MS * 2 ** Math.min(16, failures - FREE_FAILURES)
    if (this.#networks.size >= MAX_NETWORKS) this.#networks.delete(firstOf(this.#networks.keys()))
    this.#networks.set(network, { failures, lastFailureAt: now, blockedUntil: now + Math.min(MAX_PAUSE_MS, pause) })
    this.#onWrong(address, failures)
  }

  #tooMany(pauseMs: number): AppError {
    this.#onOutcome('throttled')
    const seconds = Math.ceil(pauseMs / 1_000)
    return new AppError('Overloaded', 429, `too many logins; try again in ${seconds} s`, {
      headers: { 'Retry-After': String(seconds) },
      reason: 'too_many_logins',
    })
  }
}

/** An IPv4 address, or the /64 of an IPv6 address, which one client has as a whole. */
export function networkOf(address: string): string {
  if (!isIPv6(address)) return address
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1]
  if (mapped !== undefined) return mapped
  const [before = ''] = address.split('::')
  return [...before.split(':'), '0', '0', '0', '0'].slice(0, 4).join(':')
}

function addBounded(set: Set<string>, value: string): void {
  if (set.size >= MAX_NETWORKS) set.delete(firstOf(set))
  set.add(value)
}

function firstOf(values: Iterable<string>): string {
  const [first = ''] = values
  return first
}
