// Ids and names in paths.

/** @throws TypeError for a text that would select another route, such as an empty one. */
export function pathSegment(id: string): string {
  if (typeof id !== 'string' || /^(?:|\.|\.\.)$/.test(id)) throw new TypeError(`"${id}" is not an id`)
  return encodeURIComponent(id)
}
