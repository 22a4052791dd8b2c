// Which reverse proxies are believed when they say how, and as whom, a client called (X-Forwarded-Proto, -Host, -For).
import { isIP } from 'node:net'
import { z } from 'zod'
import { text } from '../../env.ts'

/** false: none; a number: so many, counted from this process; else their addresses, as Express takes them. */
export type TrustedProxies = false | number | string[]

/** What Express knows by name. */
const NAMED = ['loopback', 'linklocal', 'uniquelocal']
const EXPECTED = 'must be off, how many there are (1 to 9), or their addresses, such as loopback, 10.0.0.0/8'

export const trustedProxies: z.ZodType<TrustedProxies, string | undefined> = text.transform((given, context) => {
  if (/^(?:off|no|false|0)$/i.test(given)) return false
  if (/^[1-9]$/.test(given)) return Number(given)
  const addresses = given.split(',').map((word) => word.trim())
  if (addresses.every(isAddress)) return addresses
  // To believe everybody is refused: any client could then say that it called over https.
  context.addIssue({ code: 'custom', message: EXPECTED })
  return z.NEVER
})

/** One of Express's names, an address, or a subnet. */
function isAddress(word: string): boolean {
  if (NAMED.includes(word)) return true
  const [, address = '', bits] = /^([0-9a-f.:]+)(?:\/([1-9]\d{0,2}))?$/i.exec(word) ?? []
  const family = isIP(address)
  return family !== 0 && Number(bits ?? 1) <= (family === 4 ? 32 : 128)
}
