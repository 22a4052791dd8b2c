// Settings from the environment. A setting is declared once and is a member of the table of each program that takes it;
// reading tables reports every problem together. Only main functions read process.env, and redis/keys.ts.
import { isIP } from 'node:net'
import * as z from 'zod'

/** One setting: its variable, its meaning, and the schema that parses its text. */
export interface Setting<T> {
  name: string
  /** The text that is parsed when the variable is unset or empty; undefined: the schema parses undefined. */
  fallback: string | undefined
  /** A value for messages: the default, also in a program that has none. */
  example: string | undefined
  description: string
  schema: z.ZodType<T, string | undefined>
  /** Its value is never printed. */
  secret: boolean
}

export type SettingsTable = Record<string, Setting<unknown>>
export type SettingsOf<Table extends SettingsTable> = {
  [Key in keyof Table]: Table[Key] extends Setting<infer T> ? T : never
}

export function setting<T>(
  name: string,
  fallback: string | undefined,
  schema: z.ZodType<T, string | undefined>,
  description: string,
): Setting<T> {
  return { name, fallback, example: fallback, description, schema, secret: false }
}

/** A setting whose value may hold a password or key. */
export function secret<T>(...options: Parameters<typeof setting<T>>): Setting<T> {
  return { ...setting(...options), secret: true }
}

/** The same setting in a program that has another default. */
export function withDefault<T>(declared: Setting<T>, fallback: string): Setting<T> {
  return { ...declared, fallback }
}

/** The same setting in a program that has no default for it: undefined when it is unset. */
export function withoutDefault<T>(declared: Setting<T>): Setting<T | undefined> {
  return { ...declared, fallback: undefined, schema: optional(declared.schema) }
}

/** Thrown at start; `problems` holds one line for each invalid setting. */
export class SettingsError extends Error {
  readonly problems: string[]

  constructor(problems: string[]) {
    super(`invalid settings:\n${problems.map((problem) => `  ${problem}`).join('\n')}`)
    this.name = 'SettingsError'
    this.problems = problems
  }
}

/**
 * Reads all settings of a table from `env`.
 * @throws SettingsError that lists every variable with an invalid value.
 */
export function readSettings<Table extends SettingsTable>(table: Table, env: NodeJS.ProcessEnv): SettingsOf<Table> {
  const values: Record<string, unknown> = {}
  const problems: string[] = []
  for (const [key, declared] of Object.entries(table)) {
    const given = env[declared.name]?.trim() || undefined
    const parsed = declared.schema.safeParse(given ?? declared.fallback)
    if (parsed.success) values[key] = parsed.data
    else problems.push(problemOf(declared, given, parsed.error.issues[0]?.message ?? 'is invalid'))
  }
  if (problems.length > 0) throw new SettingsError(problems)
  return values as SettingsOf<Table>
}

/** Returns every problem of the tables' settings; one of a setting that several tables share is in it once. */
export function settingsProblems(tables: SettingsTable[], env: NodeJS.ProcessEnv): string[] {
  const problems = tables.flatMap((table) => {
    try {
      readSettings(table, env)
      return []
    } catch (error) {
      if (error instanceof SettingsError) return error.problems
      throw error
    }
  })
  return [...new Set(problems)]
}

/** States the name, what is expected with an example, and the value, unless it is or may contain a secret. */
function problemOf({ name, example, secret }: Setting<unknown>, given: string | undefined, message: string): string {
  const suchAs = example === undefined || /such as|one of|on or off/.test(message) ? '' : `, such as ${example}`
  const hidden = given === undefined || secret || given.length > 60 || /[@\p{Cc}]|:\/\//u.test(given)
  return `${name}: ${message}${suchAs}${hidden ? '' : ` (got "${given}")`}`
}

/** The help text of a table: a title and one line a setting. */
export function describeTable(title: string, table: SettingsTable): string {
  const lines = Object.values(table).map(
    ({ name, fallback, description }) => `  ${name.padEnd(22)} ${(fallback ?? '-').padEnd(24)} ${description}`,
  )
  return `${title}\n${lines.join('\n')}`
}

const timeUnits: Record<string, number> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }
const sizeUnits: Record<string, number> = { b: 1, kb: 1_024, mb: 1_048_576, gb: 1_073_741_824 }

/** Parses text such as `500ms`, `30s`, `5m`, `1h` or `30d` to milliseconds; undefined when it is not a duration. */
export function parseDuration(text: string): number | undefined {
  return parseWithUnit(text, timeUnits)
}

function parseWithUnit(text: string, units: Record<string, number>): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*([a-z]+)$/i.exec(text)
  const unit = units[match?.[2]?.toLowerCase() ?? '']
  return match && unit !== undefined ? Math.round(Number(match[1]) * unit) : undefined
}

function fromText<T>(parse: (text: string) => T | undefined, expected: string): z.ZodType<T, string | undefined> {
  return z.string({ error: `must be set to ${expected}` }).transform((text, context) => {
    const value = parse(text)
    if (value !== undefined) return value
    context.addIssue({ code: 'custom', message: `must be ${expected}` })
    return z.NEVER
  })
}

/** Milliseconds, written with a unit. */
export const duration = fromText(
  (text) => parseDuration(text) || undefined,
  'a duration of at least 1ms, such as 500ms, 30s, 5m, 1h or 30d',
)

/** A longer delay in milliseconds makes Node's timers fire immediately. */
const MAX_TIMER_MS = 2 ** 31 - 1

/** A duration that a timer can wait, milliseconds. */
export const timeout = fromText((text) => {
  const ms = parseDuration(text) ?? 0
  return ms > 0 && ms <= MAX_TIMER_MS ? ms : undefined
}, 'a duration from 1ms to 24d, such as 500ms, 30s or 5m')

/** A duration that a timer can wait, or none, milliseconds. */
export const delay = fromText((text) => {
  const ms = parseDuration(text)
  return ms !== undefined && ms <= MAX_TIMER_MS ? ms : undefined
}, 'a duration from 0s to 24d, such as 0s, 500ms or 10s')

/** Bytes, written with a unit. */
export const size = fromText((text) => parseWithUnit(text, sizeUnits), 'a size such as 512kb, 1mb or 2gb')

export function integer(min: number, max: number): z.ZodType<number, string | undefined> {
  const parse = (text: string) =>
    /^-?\d+$/.test(text) && Number(text) >= min && Number(text) <= max ? Number(text) : undefined
  return fromText(parse, `a whole number from ${min} to ${max}`)
}

export const port = integer(0, 65_535)

/** A boolean: on, off, true, false, yes, no, 1 or 0. */
export const flag = fromText(
  (text) =>
    ({ '1': true, on: true, true: true, yes: true, '0': false, off: false, false: false, no: false })[
      text.toLowerCase()
    ],
  'on or off',
)

export const text: z.ZodType<string, string | undefined> = z.string({ error: 'must be set' })

/** Comma-separated words; unset: an empty list. */
export const list: z.ZodType<string[], string | undefined> = z
  .string()
  .optional()
  .transform((given) => (given ?? '').split(',').flatMap((word) => word.trim() || []))

export function oneOf<const Word extends string>(words: readonly Word[]): z.ZodType<Word, string | undefined> {
  return fromText((given) => words.find((word) => word === given.toLowerCase()), `one of ${words.join(', ')}`)
}

/** A setting that may be left out; the messages are those of `schema`. */
export function optional<T>(schema: z.ZodType<T, string | undefined>): z.ZodType<T | undefined, string | undefined> {
  return z
    .string()
    .optional()
    .transform((given, context) => {
      if (given === undefined) return undefined
      const parsed = schema.safeParse(given)
      if (parsed.success) return parsed.data
      for (const { message } of parsed.error.issues) context.addIssue({ code: 'custom', message })
      return z.NEVER
    })
}

/** An absolute URL with one of the given protocols, for example `https:`. */
export function url(...protocols: string[]): z.ZodType<string, string | undefined> {
  const parse = (given: string) =>
    URL.canParse(given) && protocols.includes(new URL(given).protocol) ? given : undefined
  const examples = protocols.map((protocol) => (protocol === 'file:' ? 'file:///FOLDER' : `${protocol}//HOST`))
  return fromText(parse, `a URL such as ${examples.join(' or ')}`)
}

/** An address or a name of this machine to listen on. */
export const host = fromText(
  (given) => (isIP(given) || /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/i.test(given) ? given : undefined),
  'an address of this machine, such as 127.0.0.1, 0.0.0.0 or ::',
)
