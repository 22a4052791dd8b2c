// API keys: their setting, and the owner of a request.

import { createHash, timingSafeEqual } from 'node:crypto'
import * as z from 'zod'
import * as env from '../../env.ts'
import { AppError } from '../../errors.ts'

/** An API key; only hashes of its name and secret are kept. */
export interface ApiKey {
  /** Short hash of the key's name; records that are created with the key belong to it. */
  owner: string
  /** SHA-256 of the secret. */
  digest: Buffer
}

export const apiKeys: z.ZodType<ApiKey[], string | undefined> = env.list.transform((pairs, context) =>
  pairs.flatMap((pair) => {
    const [name, secret] = [pair.slice(0, pair.indexOf(':')), pair.slice(pair.indexOf(':') + 1)]
    if (pair.indexOf(':') > 0 && secret) return [{ owner: ownerOf(name), digest: sha256(secret) }]
    context.addIssue({ code: 'custom', message: 'must be name:secret pairs, separated by commas' })
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

/**
 * @returns the owner that the Authorization header identifies; the public owner when no keys are configured.
 * @throws AppError 401 when keys are configured and the header has none of them.
 */
export function ownerOfRequest(keys: ApiKey[], authorization: string | undefined): string {
  if (keys.length === 0) return PUBLIC_OWNER
  const digest = sha256(/^(?:Bearer|Token) (.+)$/i.exec(authorization ?? '')?.[1] ?? '')
  // Every key is compared, so that the duration does not depend on which key matches.
  const matches = keys.filter((key) => timingSafeEqual(key.digest, digest))
  const [key] = matches
  if (!key) {
    throw new AppError('Unauthorized', 401, 'API key required; send Authorization: Bearer SECRET', {
      headers: { 'WWW-Authenticate': 'Bearer' },
    })
  }
  return key.owner
}
