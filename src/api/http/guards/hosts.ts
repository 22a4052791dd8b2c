// The names under which the api answers when no API key is required.
// A web page can give its own name the address of this machine (DNS rebinding) and is then of the same origin as the api;
// its requests differ from others by their Host header alone.
import { hostname } from 'node:os'
import * as z from 'zod'
import { list } from '../../../env.ts'
import { AppError } from '../../../errors.ts'

const HOST = /^(?:(?<name>[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?\.?)|(?<ipv6>\[[0-9a-f:.]+\]))(?::\d{1,5})?$/i
const IPV4 = /^\d{1,3}(?:\.\d{1,3}){3}$/
/** Names that public DNS never resolves: RFC 6761 (localhost, test), RFC 8375, ICANN's .internal, and Kubernetes. */
const PRIVATE_SUFFIXES = ['.localhost', '.internal', '.home.arpa', '.test', '.svc', '.svc.cluster.local']

/** ALLOWED_HOSTS: names, `.example.com` for a domain with all names below it, or `*`. Lower case. */
export const allowedHosts: z.ZodType<string[], string | undefined> = list.transform((hosts, context) =>
  hosts.map((host) => {
    const name = host.toLowerCase()
    if (name === '*' || /^\.?[a-z0-9_][a-z0-9_.-]*$/.test(name)) return name
    context.addIssue({
      code: 'custom',
      message: 'must be names without ports, such as api.example.com, .example.com or *',
    })
    return z.NEVER
  }),
)

/** Whether the text is a host with an optional port, as a Host header may have it. */
export function isHost(text: string): boolean {
  return HOST.test(text)
}

/**
 * Returns the check of a Host header: addresses, names without a dot (a service of compose), private names, this
 * machine's name and `allowed` pass. @throws AppError 421 for any other name.
 */
export function hostGuard(allowed: string[]): (host: string | undefined) => void {
  const machine = hostname().toLowerCase()
  const own = [machine, `${machine}.local`]
  return (host) => {
    // Some health checks send none or an empty one; a browser always sends one.
    if (!host) return
    const name = nameOf(host)
    if (name === undefined || isPrivate(name) || own.includes(name) || allowed.some((each) => covers(each, name)))
      return
    throw new AppError(
      'Unauthorized',
      421,
      `the host "${name}" is not known to this server, which requires no API key: set ALLOWED_HOSTS=${name}, or API_KEYS`,
    )
  }
}

/** The lower-case name of a Host header; undefined for an IPv6 address. */
function nameOf(host: string): string | undefined {
  return HOST.exec(host)?.groups?.['name']?.toLowerCase().replace(/\.$/, '')
}

function isPrivate(name: string): boolean {
  return !name.includes('.') || IPV4.test(name) || PRIVATE_SUFFIXES.some((suffix) => name.endsWith(suffix))
}

function covers(allowed: string, name: string): boolean {
  if (allowed === '*') return true
  return allowed.startsWith('.') ? name.endsWith(allowed) || name === allowed.slice(1) : name === allowed
}
