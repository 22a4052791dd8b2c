// The API keys that are valid now, and the callers that they identify.
import { AppError } from '../../../errors.ts'
import type { ApiKey } from './api-key.ts'
import { sha256 } from './api-key.ts'
import type { Role } from './roles.ts'

/** The sender of a request. */
export interface Caller {
  owner: string
  role: Role
}

/** The owner of all records when no API keys are configured. */
const PUBLIC_OWNER = 'public'
const PUBLIC_CALLER: Caller = { owner: PUBLIC_OWNER, role: 'admin' }

export class KeyRing {
  /** Whether no key is required. It never changes, so that no mistake in a file opens an api. */
  readonly isOpen: boolean
  /** By the digest of the secret: the time of a look-up depends on nothing that a caller can choose. */
  #keys = new Map<string, ApiKey>()
  #weights = new Map<string, number>()

  /** @param keys none: no key is required. */
  constructor(keys: readonly ApiKey[]) {
    this.isOpen = keys.length === 0
    this.#take(keys)
  }

  /** Names of keys, expired ones included; 0 without keys. */
  get owners(): number {
    return this.#weights.size
  }

  /** The owners of keys; without keys, the public one. */
  ownerNames(): string[] {
    return this.isOpen ? [PUBLIC_OWNER] : [...this.#weights.keys()]
  }

  /** Keys by whether they have expired. */
  count(now = Date.now()): { valid: number; expired: number } {
    const valid = [...this.#keys.values()].filter((key) => !isExpired(key, now)).length
    return { valid, expired: this.#keys.size - valid }
  }

  /** Whether a key of the owner is valid now. */
  hasValidKey(owner: string, now = Date.now()): boolean {
    return [...this.#keys.values()].some((key) => key.owner === owner && !isExpired(key, now))
  }

  /** Returns the weight of an owner; 1 for an owner without a key. */
  readonly weightOf = (owner: string): number => this.#weights.get(owner) ?? 1

  /** From now on these keys are valid, and no others. @param keys at least one, and only where keys are required. */
  replace(keys: readonly ApiKey[]): void {
    if (this.isOpen || keys.length === 0) throw new Error('keys are replaced by keys')
    this.#take(keys)
  }

  /** @returns the caller that the Authorization header identifies; undefined for no valid key. */
  callerOf(authorization: string | undefined): Caller | undefined {
    if (this.isOpen) return PUBLIC_CALLER
    const key = this.#find(authorization)
    return key && !isExpired(key, Date.now()) ? key : undefined
  }

  /** @throws AppError 401 when keys are required and the header has no valid one. */
  authenticate(authorization: string | undefined): Caller {
    const caller = this.callerOf(authorization)
    if (caller) return caller
    const isMissing = secretOf(authorization) === undefined
    const why = this.#find(authorization) ? 'has expired' : 'is not known'
    const problem = isMissing ? 'API key required' : `this API key ${why}`
    throw new AppError('Unauthorized', 401, `${problem}; send Authorization: Bearer SECRET`, {
      headers: { 'WWW-Authenticate': 'Bearer' },
    })
  }

  #find(authorization: string | undefined): ApiKey | undefined {
    return this.#keys.get(sha256(secretOf(authorization) ?? '').toString('hex'))
  }

  #take(keys: readonly ApiKey[]): void {
    this.#keys = new Map(keys.map((key) => [key.digest, key]))
    this.#weights = new Map(keys.map(({ owner }) => [owner, 1]))
    for (const { owner, weight } of keys) if (weight !== undefined) this.#weights.set(owner, weight)
  }
}

function isExpired({ until }: ApiKey, now: number): boolean {
  return until !== undefined && now >= until
}

function secretOf(authorization: string | undefined): string | undefined {
  return /^(?:Bearer|Token) (.+)$/i.exec(authorization ?? '')?.[1]
}
