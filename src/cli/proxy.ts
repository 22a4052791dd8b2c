// Proxies of the environment (HTTP_PROXY, HTTPS_PROXY, NO_PROXY), which Node's own fetch ignores.

/** @returns a fetch that uses the proxy; undefined without one, and for a server on this machine. */
export async function proxyFetch(url: string, env: NodeJS.ProcessEnv): Promise<typeof fetch | undefined> {
  const { protocol, hostname } = new URL(url)
  const proxy =
    protocol === 'https:' ? (env['https_proxy'] ?? env['HTTPS_PROXY']) : (env['http_proxy'] ?? env['HTTP_PROXY'])
  if (!proxy || isLoopback(hostname)) return undefined
  const { proxiedFetch } = await import('./proxied-fetch.ts')
  return proxiedFetch()
}

function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || hostname.startsWith('127.')
}
