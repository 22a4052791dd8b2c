// Proxies of the environment (HTTP_PROXY, HTTPS_PROXY, NO_PROXY), which Node's own fetch ignores.

/** @returns a fetch that uses the proxy; undefined without one, and for a server on this machine. */
export async function proxyFetch(url: string, env: NodeJS.ProcessEnv): Promise<typeof fetch | undefined> {
  const { protocol, hostname } = new URL(url)
  const proxy =
    protocol === 'https:' ? (env['https_proxy'] ?? env['HTTPS_PROXY']) : (env['http_proxy'] ?? env['HTTP_PROXY'])
  if (!proxy || isLoopback(hostname)) return undefined
  const { EnvHttpProxyAgent, fetch: proxied } = await import('undici')
  const dispatcher = new EnvHttpProxyAgent()
  const through = (input: unknown, init: object) => proxied(input as string, { ...init, dispatcher })
  // The types of the package and of Node describe the same classes.
  return through as unknown as typeof fetch
}

function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127\./.test(hostname)
}
