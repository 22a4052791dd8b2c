// TRUST_PROXY: the reverse proxies whose X-Forwarded-Proto, -Host and -For are trusted.
import proxyAddr from 'proxy-addr'
import * as z from 'zod'
import { text } from '../../env.ts'

/** false: none; a number: that many hops, counted from this process; a list: addresses in Express's syntax. */
export type TrustedProxies = false | number | string[]

const EXPECTED = 'must be off, the number of proxies (1 to 9), or their addresses, such as loopback, 10.0.0.0/8'

export const trustedProxies: z.ZodType<TrustedProxies, string | undefined> = text.transform((given, context) => {
  if (/^(?:off|no|false|0)$/i.test(given)) return false
  if (/^[1-9]$/.test(given)) return Number(given)
  const addresses = given.split(',').map((address) => address.trim())
  if (areAddresses(addresses)) return addresses
  context.addIssue({ code: 'custom', message: EXPECTED })
  return z.NEVER
})

/** Whether proxy-addr, which Express uses as well, accepts the list; it rejects a subnet of all addresses. */
function areAddresses(addresses: string[]): boolean {
  try {
    proxyAddr.compile(addresses)
    return true
  } catch {
    return false
  }
}
