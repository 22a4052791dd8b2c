// Which addresses requests may be sent to that a caller asks for: public ones, and those that a setting names. Every address
// is checked when a connection is made, so a name that resolves to another address later gains nothing.
import { type LookupAddress, type LookupOptions, lookup } from 'node:dns'
import { isIP, type LookupFunction } from 'node:net'
import ipaddr from 'ipaddr.js'
import * as z from 'zod'
import * as env from '../env.ts'

type Address = ReturnType<typeof ipaddr.process>
/** A network, as ipaddr.js has it: its address and the bits of its prefix. */
export type Network = [Address, number]

/** The private addresses that may be reached, and the setting that names them. */
export interface AddressPolicy {
  allow: readonly Network[]
  setting: string
}

const MAX_URL_CHARS = 2_048

/** The schema of a setting of networks. */
export const networks: z.ZodType<Network[], string | undefined> = env.list.transform((words, context) =>
  words.flatMap((word) => {
    const network = networkOf(word)
    if (network) return [network]
    const message = 'must be addresses or networks, such as 10.0.0.0/8, 192.168.1.7 or fd00::/8, separated by commas'
    context.addIssue({ code: 'custom', message })
    return []
  }),
)

function networkOf(word: string): Network | undefined {
  if (isIP(word)) {
    const address = ipaddr.process(word)
    return [address, address.kind() === 'ipv4' ? 32 : 128]
  }
  return ipaddr.isValidCIDR(word) ? ipaddr.parseCIDR(word) : undefined
}

/**
 * Whether requests may be sent to an address. Private, loopback, link-local, multicast and reserved ones are refused, also
 * within an IPv6 address (mapped, NAT64, 6to4, Teredo).
 */
export function isAllowedAddress(text: string, allow: readonly Network[]): boolean {
  if (!ipaddr.isValid(text)) return false
  const address = ipaddr.process(text)
  if (allow.some((network) => isWithin(address, network))) return true
  return address.range() === 'unicast'
}

function isWithin(address: Address, [base, bits]: Network): boolean {
  if (address.kind() !== base.kind()) return false
  return address.match(base, bits)
}

/** Why no request can be sent to a URL; undefined when one can, as far as its text shows. */
export function urlProblem(
  text: string,
  { allow, setting }: AddressPolicy,
  maxChars = MAX_URL_CHARS,
): string | undefined {
  if (text.length > maxChars) return `is longer than ${maxChars} characters`
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (!url || !/^https?:$/.test(url.protocol)) return 'must be a URL that begins with https:// or http://'
  // It would be shown with the object, and requests are signed instead.
  if (url.username !== '' || url.password !== '') return 'must not contain a user name or a password'
  const host = hostOf(url)
  const isLocal = /^(?:.+\.)?localhost\.?$/i.test(host)
  // The parser of URLs writes other notations of an IPv4 address (decimal, hexadecimal, octal) in the usual one.
  if (isIP(host) ? isAllowedAddress(host, allow) : !isLocal || isAllowedAddress('127.0.0.1', allow)) return undefined
  return `is a private or reserved address, which ${setting} of the api does not name`
}

/** The host of a URL, an IPv6 address without brackets. */
export function hostOf({ hostname }: URL): string {
  return hostname.replace(/^\[|\]$/g, '')
}

/** The address of a server is refused. */
export class RefusedAddressError extends Error {
  constructor({ setting }: AddressPolicy) {
    super(`the address is private or reserved, and ${setting} does not name it`)
    this.name = 'RefusedAddressError'
  }
}

/** Resolves names as dns.lookup does, and refuses a name with any address that is not allowed. */
export function guardedLookup(policy: AddressPolicy, resolve = lookup): LookupFunction {
  return (hostname, options: LookupOptions, callback) => {
    resolve(hostname, { ...options, all: true }, (error, addresses: LookupAddress[]) => {
      if (error) return callback(error, '')
      const [first] = addresses
      if (!first || !addresses.every(({ address }) => isAllowedAddress(address, policy.allow))) {
        return callback(new RefusedAddressError(policy), '')
      }
      return options.all ? callback(null, addresses) : callback(null, first.address, first.family)
    })
  }
}
