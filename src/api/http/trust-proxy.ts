// Which reverse proxies are believed when they say how, and as whom, a client called (X-Forwarded-Proto, -Host, -For).
import proxyAddr from 'proxy-addr'
import { z } from 'zod'
import { text } from '../../env.ts'

/** false: none; a number: so many, counted from this process; else their addresses, as Express takes them. */
export type TrustedProxies = false | number | string[]

const EXPECTED = 'must be off, how many there are (1 to 9), or their addresses, such as loopback, 10.0.0.0/8'

export const trustedProxies: z.ZodType<TrustedProxies, string | undefined> = text.transform((given, context) => {
  if (/^(?:off|no|false|0)$/i.test(given)) return false
  if (/^[1-9]$/.test(given)) return Number(given)
  const addresses = given.split(',').map((word) => word.trim())
  if (areAddresses(addresses)) return addresses
  context.addIssue({ code: 'custom', message: EXPECTED })
  return z.NEVER
})

/** Whether proxy-addr, which Express uses too, takes them; it refuses a subnet that holds every address. */
function areAddresses(words: string[]): boolean {
  try {
    proxyAddr.compile(words)
    return true
  } catch {
    return false
  }
}
