// API_KEYS_FILE: keys in a file, read again when it changes, so that keys are rotated without a restart.
import { readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import * as z from 'zod'
import { every } from '../../../async.ts'
import { optional, text } from '../../../env.ts'
import type { Logger } from '../../../logger.ts'
import { type ApiKey, parseKeys, sha256 } from './api-key.ts'
import type { KeyRing } from './key-ring.ts'

export interface KeysFile {
  path: string
  /** Its keys at the start; at least one. */
  keys: ApiKey[]
}

const MAX_BYTES = 1_048_576
const MAX_KEYS = 10_000
const MAX_PROBLEMS = 5
const READ_MS = 2_000

export const apiKeysFile: z.ZodType<KeysFile | undefined, string | undefined> = optional(
  text.transform((path, context) => {
    const parsed = parseFile(() => readFileSync(path))
    if (typeof parsed !== 'string') return { path, keys: parsed }
    const message = `must be a file with a key in each line, such as /run/secrets/api-keys: ${parsed}`
    context.addIssue({ code: 'custom', message })
    return z.NEVER
  }),
)

/** @returns the keys, or the problem, which contains no part of a key. */
function parseFile(read: () => Buffer): ApiKey[] | string {
  try {
    return parseContent(read())
  } catch (error) {
    return `it cannot be read (${(error as NodeJS.ErrnoException).code})`
  }
}

/** A key a line; empty lines and lines that begin with # are ignored. */
function parseContent(content: Buffer): ApiKey[] | string {
  if (content.length > MAX_BYTES) return 'it is larger than 1mb'
  const given = content
    .toString('utf8')
    .split(/\r?\n/)
    .map((line, index) => ({ place: `the key of line ${index + 1}`, text: line.trim() }))
    .filter((line) => line.text !== '' && !line.text.startsWith('#'))
  if (given.length === 0) return 'it holds no key'
  if (given.length > MAX_KEYS) return `it holds more than ${MAX_KEYS} keys`
  const { keys, problems } = parseKeys(given)
  return problems.length === 0 ? keys : problems.slice(0, MAX_PROBLEMS).join('; ')
}

export class KeysFileWatch {
  readonly #path: string
  readonly #ring: KeyRing
  readonly #logger: Logger
  #lastRead: string | undefined
  /** Whether the file cannot be used, and the keys from before are valid. */
  isInvalid = false

  constructor(path: string, ring: KeyRing, logger: Logger) {
    this.#path = path
    this.#ring = ring
    this.#logger = logger
  }

  /** Reads the file again every two seconds, and on SIGHUP, until the signal aborts. */
  start(closing: AbortSignal): void {
    const read = () => this.read()
    void every(READ_MS, closing, read, () => undefined)
    const onHangUp = () => void read()
    process.on('SIGHUP', onHangUp)
    closing.addEventListener('abort', () => process.off('SIGHUP', onHangUp))
  }

  /** Takes the file's keys when it has changed and all of them are valid. Each change is one line in the log. */
  async read(): Promise<void> {
    // A mounted secret is replaced by a link, which no watch of a file reports, so its content is compared.
    const content = await readFile(this.#path).catch((error: NodeJS.ErrnoException) => error)
    const state = content instanceof Error ? String(content.code) : sha256(content.toString('latin1')).toString('hex')
    if (state === this.#lastRead) return
    const isFirst = this.#lastRead === undefined
    this.#lastRead = state
    const parsed = parseFile(() => {
      if (content instanceof Error) throw content
      return content
    })
    if (typeof parsed === 'string') {
      this.isInvalid = true
      this.#logger.warn({ problem: parsed }, 'API_KEYS_FILE cannot be used; the keys from before stay valid')
      return
    }
    this.isInvalid = false
    this.#ring.replace(parsed)
    if (!isFirst)
      this.#logger.info({ keys: parsed.length, owners: this.#ring.owners }, 'took the keys of API_KEYS_FILE')
  }
}
