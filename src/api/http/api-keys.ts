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
}

export const apiKeys: z.ZodType<ApiKey[], string | undefined> = env.list.transform((pairs, context) =>
  pairs.flatMap((pair, index) => {
    const [name, secret] = [pair.slice(0, pair.indexOf(':')), pair.slice(pair.indexOf(':') + 1)]
    const problem = pair.indexOf(':') > 0 ? secretProblem(secret) : undefined
    if (pair.indexOf(':') > 0 && problem === undefined) return [{ owner: ownerOf(name), digest: sha256(secret) }]
    const message = problem
      ? `the secret of key ${index + 1} ${problem}`
      : 'must be name:secret pairs, separated by commas'
    context.addIssue({ code: 'custom', message })
    return []
  }),
)

/** The owner of all records when no API keys are configured. */
const PUBLIC_OWNER = 'public'

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

function secretOf(authorization: string | undefined): string | undefined {
  return /^(?:Bearer|Token) (.+)$/i.exec(authorization ?? '')?.[1]
}
