// `inferq admin-password`: a new password for the dashboard.
import { randomBytes } from 'node:crypto'
import { EXIT } from '../failure.ts'
import { print, report, type Terminal } from '../terminal.ts'

/** 192 bits. In base64url, which a shell, a .env file and YAML take without quotes. */
const BYTES = 24

/** Prints the password to stdout, and to stderr where it is set. @returns the exit code. */
export async function printAdminPassword({ json }: { json?: boolean }, terminal: Terminal): Promise<number> {
  const password = newPassword()
  await print(terminal.stdout, json ? `${JSON.stringify({ password })}\n` : `${password}\n`)
  if (json) return EXIT.ok
  for (const line of WHERE) report(terminal, line)
  return EXIT.ok
}

/** Does not begin with a dash, which a program would read as an option. */
function newPassword(): string {
  for (;;) {
    const password = randomBytes(BYTES).toString('base64url')
    if (!password.startsWith('-')) return password
  }
}

const WHERE = [
  'set it as ADMIN_PASSWORD in the environment of every api (in containers: in .env), and restart them',
  'the user is admin, or ADMIN_USER; earlier logins end; without the setting the api generates a password at its first start',
]
