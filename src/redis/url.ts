// The forms of REDIS_URL: one server, the sentinels of a replicated one, or nodes of a cluster.

export interface RedisNode {
  host: string
  port: number
}

/** The places of a URL with several of them, and the credentials of Redis; redis/tls.ts has its TLS. */
interface Places {
  nodes: RedisNode[]
  username?: string
  password?: string
}

/** `server`: ioredis parses its URL. */
export type RedisTopology =
  | { kind: 'server' }
  | (Places & {
      kind: 'sentinel'
      /** The name that the sentinels know the master by. */
      master: string
      db: number
      sentinelUsername?: string
      sentinelPassword?: string
    })
  | (Places & { kind: 'cluster' })

const DEFAULT_PORTS = { sentinel: 26_379, cluster: 6_379 }
const FORM = /^rediss?\+(sentinel|cluster):\/\/(?:([^@/?#]*)@)?([^@/?#]*)(?:\/([^@?#]*))?(?:\?([^@#]*))?$/i

/** Whether the URL names several places; then topologyOf parses it. */
export function hasSeveralPlaces(url: string): boolean {
  return /^rediss?\+/i.test(url)
}

/** Whether the URL is that of a cluster. */
export function isClusterUrl(url: string): boolean {
  return /^rediss?\+cluster:/i.test(url)
}

/** The topology of a URL; undefined when it has several places and is invalid. */
export function topologyOf(url: string): RedisTopology | undefined {
  if (!hasSeveralPlaces(url)) return { kind: 'server' }
  const [, word = '', userInfo = '', hosts = '', path = '', query = ''] = FORM.exec(url) ?? []
  const kind = word.toLowerCase() === 'sentinel' ? 'sentinel' : 'cluster'
  const nodes = hosts.split(',').map((host) => nodeOf(host, DEFAULT_PORTS[kind]))
  const credentials = credentialsOf(userInfo)
  if (word === '' || credentials === undefined || !nodes.every((node) => node !== undefined)) return undefined
  const places = { nodes, ...credentials }
  if (kind === 'cluster') return /^0?$/.test(path) && query === '' ? { kind, ...places } : undefined
  const [, master, db = '0'] = /^([\w.-]+)(?:\/(\d{1,5})?)?$/.exec(path) ?? []
  const own = sentinelCredentialsOf(query)
  return master !== undefined && own !== undefined ? { kind, ...places, master, db: Number(db), ...own } : undefined
}

/** The places of a topology for messages. */
export function describePlaces({ nodes }: { nodes: RedisNode[] }): string {
  return nodes.map(({ host, port }) => `${host.includes(':') ? `[${host}]` : host}:${port}`).join(', ')
}

function nodeOf(text: string, defaultPort: number): RedisNode | undefined {
  const [, address, name, port = String(defaultPort)] =
    /^(?:\[([\da-f:.]+)\]|([\w.-]+))(?::(\d{1,5}))?$/i.exec(text) ?? []
  const host = address ?? name
  return host !== undefined && Number(port) > 0 && Number(port) < 65_536 ? { host, port: Number(port) } : undefined
}

/** `user:password`, `:password` or nothing. */
function credentialsOf(userInfo: string): Pick<Places, 'username' | 'password'> | undefined {
  const colon = userInfo.indexOf(':')
  if (userInfo === '') return {}
  const [username, password] = [userInfo.slice(0, colon), userInfo.slice(colon + 1)].map(decoded)
  if (colon < 0 || username === undefined || password === undefined) return undefined
  return { ...(username === '' ? {} : { username }), password }
}

/** `sentinel_user=…&sentinel_password=…`. */
function sentinelCredentialsOf(query: string): { sentinelUsername?: string; sentinelPassword?: string } | undefined {
  const names = { sentinel_user: 'sentinelUsername', sentinel_password: 'sentinelPassword' } as const
  const credentials: { sentinelUsername?: string; sentinelPassword?: string } = {}
  for (const pair of query === '' ? [] : query.split('&')) {
    const [, name, value = ''] = /^(sentinel_user|sentinel_password)=([^=]*)$/.exec(pair) ?? []
    const text = decoded(value)
    if (name === undefined || text === undefined) return undefined
    credentials[names[name as keyof typeof names]] = text
  }
  return credentials
}

function decoded(part: string): string | undefined {
  try {
    return decodeURIComponent(part)
  } catch {
    return undefined
  }
}
