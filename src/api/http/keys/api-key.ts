// An API key: its text in API_KEYS or in a line of API_KEYS_FILE.
import { createHash } from 'node:crypto'
import * as z from 'zod'
import { list } from '../../../env.ts'
import { secretProblem } from '../guards/secrets.ts'
import { ROLES, type Role } from './roles.ts'

/** An API key; only hashes of its name and secret are kept. */
export interface ApiKey {
  /** Short hash of the key's name; records that are created with the key belong to it. */
  owner: string
  /** SHA-256 of the secret, hexadecimal. */
  digest: string
  /** The share of the compute and of waiting places, relative to other owners; undefined: that of another key of the owner, or 1. */
  weight: number | undefined
  role: Role
  /** When it ends, epoch milliseconds; undefined: never. */
  until: number | undefined
}

/** A key's text, and what messages name it. */
export interface GivenKey {
  place: string
  text: string
}

const FORM = 'must be name:secret, and after it any of :WEIGHT, :ROLE and :until=YYYY-MM-DD, such as ann:SECRET:2:read'
const WEIGHT = /^(?:0\.[1-9]|[1-9]\d{0,2}(?:\.\d)?)$/
/** Like a role, but none: a mistyped role would otherwise be a part of the secret. */
const WORD = /^[a-z]{3,12}$/i

export const apiKeys: z.ZodType<ApiKey[], string | undefined> = list.transform((texts, context) => {
  const { keys, problems } = parseKeys(texts.map((text, index) => ({ place: `key ${index + 1}`, text })))
  for (const message of problems) context.addIssue({ code: 'custom', message })
  return keys
})

/** Parses keys that are valid together; the problems contain no part of a key. */
export function parseKeys(given: GivenKey[]): { keys: ApiKey[]; problems: string[] } {
  const keys: ApiKey[] = []
  const problems: string[] = []
  for (const { place, text } of given) {
    const key = parseKey(text, place)
    const problem = typeof key === 'string' ? key : conflictOf(key, keys, place)
    if (problem !== undefined) problems.push(problem)
    else if (typeof key !== 'string') keys.push(key)
  }
  return { keys, problems }
}

/** @returns the key, or the problem. */
function parseKey(text: string, place: string): ApiKey | string {
  const [name = '', ...rest] = text.split(':')
  const options: string[] = []
  while (rest.length > 1 && isOption(rest.at(-1) ?? '')) options.unshift(rest.pop() ?? '')
  const secret = rest.join(':')
  if (name === '' || secret === '') return FORM
  const problem = secretProblem(secret)
  if (problem !== undefined) return `the secret of ${place} ${problem}`
  if (rest.length > 1 && WORD.test(rest.at(-1) ?? ''))
    return `${place} ends in a word that is none of ${ROLES.join(', ')}`
  const [weights, roles, ends] = [options.filter(isNumber), options.filter(isRole), options.filter(isEnd)]
  if (Math.max(weights.length, roles.length, ends.length) > 1) return `${place} has two weights, roles or ends`
  const [weight] = weights
  if (weight !== undefined && !WEIGHT.test(weight))
    return `the weight of ${place} must be from 0.1 to 999.9, one decimal`
  const until = ends[0] === undefined ? undefined : dayOf(ends[0].slice(END.length))
  if (Number.isNaN(until)) return `the end of ${place} must be a day, such as until=2027-01-01`
  return {
    owner: ownerOf(name),
    digest: sha256(secret).toString('hex'),
    weight: weight === undefined ? undefined : Number(weight),
    role: roles[0] ?? 'admin',
    until,
  }
}

/** Why the key cannot be used with the earlier ones; undefined when it can. */
function conflictOf(key: ApiKey, earlier: ApiKey[], place: string): string | undefined {
  const same = earlier.find(({ digest }) => digest === key.digest)
  if (same && same.owner !== key.owner) return `the secret of ${place} is also that of another name`
  if (same) return `${place} has the name and the secret of an earlier one`
  const weights = new Set([key, ...earlier.filter(({ owner }) => owner === key.owner)].map(({ weight }) => weight))
  weights.delete(undefined)
  return weights.size > 1 ? `${place} has another weight than an earlier key of its name` : undefined
}

const END = 'until='

function isOption(part: string): boolean {
  return isNumber(part) || isRole(part) || isEnd(part)
}

function isNumber(part: string): boolean {
  return /^-?[\d.]+$/.test(part)
}

function isRole(part: string): part is Role {
  return ROLES.some((role) => role === part)
}

function isEnd(part: string): boolean {
  return part.startsWith(END)
}

/** The begin of a day in UTC, epoch milliseconds; NaN for a text that is no day. */
function dayOf(text: string): number {
  const ms = Date.parse(`${text}T00:00:00Z`)
  return Number.isNaN(ms) || new Date(ms).toISOString().slice(0, 10) !== text ? Number.NaN : ms
}

/** The first 12 hexadecimal digits of the name's SHA-256. */
function ownerOf(keyName: string): string {
  return sha256(keyName).toString('hex').slice(0, 12)
}

export function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
