// Random keys of requests.

/** @returns 128 random bits in hexadecimal. Not crypto.randomUUID, which a page has only over https and on localhost. */
export function randomKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}
