// FILES_URL: a directory, or a bucket of a server that speaks S3.
import { fileURLToPath } from 'node:url'
import * as z from 'zod'
import { optional, text } from '../../env.ts'

export interface BucketLocation {
  bucket: string
  /** Begins every key; empty, or with a slash at its end. */
  prefix: string
  /** undefined: as the environment of AWS' programs has it. */
  region: string | undefined
  /** URL of the server; undefined: AWS, or as the environment of AWS' programs has it. */
  endpoint: string | undefined
  /** Whether the bucket is in the path of URLs, and not in their host. */
  pathStyle: boolean
}

export type FilesLocation = { directory: string } | BucketLocation

const EXPECTED =
  'must be a URL such as file:///FOLDER or s3://BUCKET/PREFIX?region=REGION&endpoint=https://HOST, without a login'

/** The location of files; unset: undefined. */
export const filesUrl: z.ZodType<FilesLocation | undefined, string | undefined> = optional(
  text.transform((given, context) => {
    const location = locationOf(given)
    if (location) return location
    context.addIssue({ code: 'custom', message: EXPECTED })
    return z.NEVER
  }),
)

function locationOf(given: string): FilesLocation | undefined {
  const url = URL.canParse(given) ? new URL(given) : undefined
  if (url?.protocol === 's3:') return bucketOf(url)
  if (url?.protocol !== 'file:' || !/^(?:localhost)?$/.test(url.host)) return undefined
  try {
    return { directory: fileURLToPath(url) }
  } catch {
    return undefined
  }
}

const PARAMETERS = ['region', 'endpoint', 'path_style']

function bucketOf({
  hostname,
  username,
  password,
  port,
  pathname,
  searchParams,
  hash,
}: URL): BucketLocation | undefined {
  const parameter = (name: string) => searchParams.get(name) ?? undefined
  const [region, endpoint, pathStyle] = [parameter('region'), parameter('endpoint'), parameter('path_style')]
  const prefix = pathname.split('/').filter(Boolean).join('/')
  const isPlain = username + password + port + hash === ''
  const isKnown = [...searchParams.keys()].every((name) => PARAMETERS.includes(name))
  const isValid =
    /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(hostname) &&
    /^[\w./-]{0,200}$/.test(prefix) &&
    /^[a-z0-9-]{1,40}$/.test(region ?? 'any') &&
    /^(?:on|off)$/.test(pathStyle ?? 'on') &&
    (endpoint === undefined || isEndpoint(endpoint))
  if (!isPlain || !isKnown || !isValid) return undefined
  return {
    bucket: hostname,
    prefix: prefix === '' ? '' : `${prefix}/`,
    region,
    endpoint,
    // A server of its own seldom has a host name for each bucket.
    pathStyle: (pathStyle ?? (endpoint === undefined ? 'off' : 'on')) === 'on',
  }
}

function isEndpoint(given: string): boolean {
  if (!URL.canParse(given)) return false
  const { protocol, username, password, search, hash } = new URL(given)
  return /^https?:$/.test(protocol) && username + password + search + hash === ''
}
