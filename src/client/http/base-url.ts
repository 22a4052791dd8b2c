// Base URL of a server, and the credentials in it.

export interface Server {
  /** Without credentials and without a slash at its end, so that it can be printed. */
  url: string
  /** Value of the Authorization header; undefined without a key. */
  authorization: string | undefined
}

/**
 * `http://KEY@host` is an API key; `http://user:password@host` is basic authentication, for a proxy in front of the server.
 * @param key takes precedence over the URL. @throws TypeError for another text than an http URL.
 */
export function serverOf(text: string, key: string | undefined): Server {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (!url || !/^https?:$/.test(url.protocol)) throw new TypeError(`"${withoutCredentials(text)}" is not a URL`)
  const [user, password] = [decoded(url.username), decoded(url.password)]
  url.username = ''
  url.password = ''
  return { url: url.href.replace(/\/+$/, ''), authorization: authorizationOf(key, user, password) }
}

function authorizationOf(key: string | undefined, user: string, password: string): string | undefined {
  if (key) return `Bearer ${key}`
  if (user && password) {
    const bytes = new TextEncoder().encode(`${user}:${password}`)
    return `Basic ${btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''))}`
  }
  return user || password ? `Bearer ${user || password}` : undefined
}

/** For messages about a text that cannot be parsed. */
export function withoutCredentials(text: string): string {
  return text.replace(/^([^/]*\/\/)?[^/]*@/, '$1')
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
