// API keys: their setting, and the owner of a request.

import { createHash, timingSafeEqual } from 'node:crypto'
import * as z from 'zod'
import * as env from '../../env.ts'
import { AppError } from '../../errors.ts'
import { secretProblem } from './guards/secrets.ts'

/** An API key; only hashes of its name and secret are kept. */
export interface ApiKey {
  /** Short hash of the key's name; records that are created with the key belong to it. */
  owner: string
  /** SHA-256 of the secret. */
  digest: Buffer
  /** The share of the compute and of waiting places, relative to other keys. */
  weight: number
}

export const apiKeys: z.ZodType<ApiKey[], string | undefined> = env.list.transform((pairs, context) => {
  const names = new Map<string, string>()
  return pairs.flatMap((pair, index) => {
    const { name, secret = '', weight } = PAIR.exec(pair)?.groups ?? {}
    const problem =
      name === undefined ? FORM : problemOfKey(`key ${index + 1}`, secret, weight, name, names.get(secret))
    if (name !== undefined) names.set(secret, name)
    if (name !== undefined && problem === undefined) {
      return [{ owner: ownerOf(name), digest: sha256(secret), weight: Number(weight ?? 1) }]
    }
    context.addIssue({ code: 'custom', message: problem ?? FORM })
    return []
  })
})

const FORM = 'must be name:secret or name:secret:weight, separated by commas'
/** A secret may contain colons; a number as the last part is the weight. */
const PAIR = /^(?<name>[^:]+):(?<secret>.+?)(?::(?<weight>-?[\d.]+))?$/
const WEIGHT = /^(?:0\.[1-9]|[1-9]\d{0,2}(?:\.\d)?)$/

/** @param sameSecret the name of an earlier key with this secret: a request would belong to that one. */
function problemOfKey(
  key: string,
  secret: string,
  weight: string | undefined,
  name: string,
  sameSecret: string | undefined,
): string | undefined {
  const problem = secretProblem(secret)
  if (problem !== undefined) return `the secret of ${key} ${problem}`
  if (weight !== undefined && !WEIGHT.test(weight)) return `the weight of ${key} must be from 0.1 to 999.9, one decimal`
  if (sameSecret !== undefined && sameSecret !== name) return `the secret of ${key} is also that of another name`
  return undefined
}

/** The owner of all records when no API keys are configured. */
const PUBLIC_OWNER = 'public'

/** Returns the weight of an owner; 1 for an owner without a key. */
export function weights(keys: readonly ApiKey[]): (owner: string) => number {
  const weightOf = new Map(keys.map(({ owner, weight }) => [owner, weight]))
  return (owner) => weightOf.get(owner) ?? 1
}

/** The first 12 hexadecimal digits of the name's SHA-256. */
function ownerOf(keyName: string): string {
  return sha256(keyName).toString('hex').slice(0, 12)
}

export function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}

/** @returns the owner that the Authorization header identifies: the public owner without keys, undefined for no known key. */
export function knownOwner(keys: ApiKey[], authorization: string | undefined): string | undefined {
  if (keys.length === 0) return PUBLIC_OWNER
  const digest = sha256(secretOf(authorization) ?? '')
  // Every key is compared, so that the duration does not depend on which key matches.
  return keys.filter((key) => timingSafeEqual(key.digest, digest))[0]?.owner
}

/** @throws AppError 401 when keys are configured and the header has none of them. */
export function ownerOfRequest(keys: ApiKey[], authorization: string | undefined): string {
  const owner = knownOwner(keys, authorization)
  if (owner !== undefined) return owner
  const problem = secretOf(authorization) === undefined ? 'API key required' : 'this API key is not known'
  throw new AppError('Unauthorized', 401, `${problem}; send Authorization: Bearer SECRET`, {
    headers: { 'WWW-Authenticate': 'Bearer' },
  })
}

/** The token of a link that stands for an API key: the owner, and a secret of what the link leads to. */
export function linkToken(owner: string, secret: string): string {
  return `${owner}.${secret}`
}

/** The owner and the secret of a link's token; undefined for any other value, or when the owner has no key any more. */
export function linkTokenOf(keys: ApiKey[], token: unknown): { owner: string; linkToken: string } | undefined {
  const { owner, secret } = (typeof token === 'string' ? LINK_TOKEN.exec(token)?.groups : undefined) ?? {}
  if (secret === undefined || !keys.some((key) => key.owner === owner)) return undefined
  return { owner: owner ?? '', linkToken: secret }
}

const LINK_TOKEN = /^(?<owner>[0-9a-f]{12})\.(?<secret>[\w-]{22})$/

function secretOf(authorization: string | undefined): string | undefined {
  return /^(?:Bearer|Token) (.+)$/i.exec(authorization ?? '')?.[1]
}
