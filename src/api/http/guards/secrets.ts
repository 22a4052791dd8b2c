// The rules of secrets in settings: a weak or unusable one is refused at the start.
import * as z from 'zod'
import { optional, text } from '../../../env.ts'

const MIN_KEY_CHARS = 16
const MIN_PASSWORD_CHARS = 8
const MIN_DIFFERENT_CHARS = 5
const WEAK_PASSWORDS = /^(?:password|passw0rd|12345678|qwerty|changeme|letmein|administrator|inferq)\d{0,4}[!.]?$/i

/** ADMIN_PASSWORD=new: a password is generated at the start, also when there is a generated one. */
export const NEW_PASSWORD = 'new'

/** The reason why an API key's secret cannot be used, without the secret; undefined when it can. */
export function secretProblem(secret: string): string | undefined {
  if (!/^[\x21-\x7e]*$/.test(secret)) return 'has characters other than printable ASCII, which HTTP clients cannot send'
  if (secret.length < MIN_KEY_CHARS)
    return `is shorter than ${MIN_KEY_CHARS} characters; make one: openssl rand -hex 24`
  if (new Set(secret).size < MIN_DIFFERENT_CHARS) return 'repeats few characters; make one: openssl rand -hex 24'
  return undefined
}

/** The schema of ADMIN_PASSWORD; undefined when unset. */
export const adminPassword: z.ZodType<string | undefined, string | undefined> = optional(
  text.transform((password, context) => {
    if (password === NEW_PASSWORD || !isWeak(password)) return password
    const message = `must have ${MIN_PASSWORD_CHARS} or more characters that are hard to guess, such as openssl rand -hex 12 prints; or ${NEW_PASSWORD}, to generate one`
    context.addIssue({ code: 'custom', message })
    return z.NEVER
  }),
)

function isWeak(password: string): boolean {
  return (
    password.length < MIN_PASSWORD_CHARS ||
    new Set(password).size < MIN_DIFFERENT_CHARS ||
    WEAK_PASSWORDS.test(password)
  )
}
