// Members of a JSON object as text, so that numbers pass through without a loss of digits.

/**
 * @param text a valid JSON object.
 * @returns the name and the value of each member, the value as it is in the text.
 */
export function membersOf(text: string): [name: string, raw: string][] {
  const members: [string, string][] = []
  let at = skipSpace(text, text.indexOf('{') + 1)
  while (text[at] === '"') {
    const nameEnd = stringEnd(text, at)
    const name = JSON.parse(text.slice(at, nameEnd)) as string
    const start = skipSpace(text, text.indexOf(':', nameEnd) + 1)
    const end = valueEnd(text, start)
    members.push([name, text.slice(start, end)])
    at = skipSpace(text, end)
    if (text[at] === ',') at = skipSpace(text, at + 1)
  }
  return members
}

/** @returns the object with further members at its end. @param added at least one member. */
export function withMembers(text: string, added: Record<string, unknown>): string {
  const start = text.slice(0, text.lastIndexOf('}')).trimEnd()
  return `${start}${start.trimStart() === '{' ? '' : ','}${JSON.stringify(added).slice(1)}`
}

const SPACE = new Set([' ', '\t', '\n', '\r'])

function skipSpace(text: string, from: number): number {
  let at = from
  while (SPACE.has(text[at] ?? '')) at += 1
  return at
}

/** @param start of the opening quote. @returns the offset after the closing one. */
function stringEnd(text: string, start: number): number {
  for (let at = start + 1; ; at += 1) {
    at = text.indexOf('"', at)
    let backslashes = 0
    while (text[at - 1 - backslashes] === '\\') backslashes += 1
    if (backslashes % 2 === 0) return at + 1
  }
}

function valueEnd(text: string, start: number): number {
  let depth = 0
  for (let at = start; ; at += 1) {
    const character = text[at]
    if (character === '"') at = stringEnd(text, at) - 1
    else if (character === '{' || character === '[') depth += 1
    else if (character === '}' || character === ']') {
      if (depth === 0) return at
      depth -= 1
    } else if (depth === 0 && (character === ',' || SPACE.has(character ?? ''))) return at
  }
}
