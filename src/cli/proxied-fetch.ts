// fetch through the proxies of the environment. A file of its own, because the package loads slowly.
import { EnvHttpProxyAgent, fetch as undiciFetch } from 'undici'

export function proxiedFetch(): typeof fetch {
  const dispatcher = new EnvHttpProxyAgent()
  const through = (input: unknown, init: object) => undiciFetch(input as string, { ...init, dispatcher })
  // The types of the package and of Node describe the same classes.
  return through as unknown as typeof fetch
}
