// Tokens of links that stand for an API key.
import type { KeyRing } from './key-ring.ts'

const LINK_TOKEN = /^(?<owner>[0-9a-f]{12})\.(?<secret>[\w-]{22})$/

/** The token of a link that stands for an API key: the owner, and a secret of what the link leads to. */
export function linkToken(owner: string, secret: string): string {
  return `${owner}.${secret}`
}

/** The owner and the secret of a link's token; undefined for any other value, or when the owner has no valid key any more. */
export function linkTokenOf(keys: KeyRing, token: unknown): { owner: string; linkToken: string } | undefined {
  const { owner = '', secret } = (typeof token === 'string' ? LINK_TOKEN.exec(token)?.groups : undefined) ?? {}
  return secret !== undefined && keys.hasValidKey(owner) ? { owner, linkToken: secret } : undefined
}
