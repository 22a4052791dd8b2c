// Comments are in plain English: a sentence about the code, in words that a newcomer would search for.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'

/** Words that a comment does without; each has a plain one: caller, process, returns, logs, after, immediately, its own. */
const DIALECT = [
  /\b(?:whoever|whatever|whichever)\b/gi,
  /\b(?:nobody|somebody|everybody|anybody)\b/gi,
  /\bshall\b/gi,
  /\banew\b/gi,
  /\bso many\b/gi,
  /\b(?:people|persons?)\b/gi,
  /(?:^|[.:;] |\/\*\* )Who\b/g,
  /\b(?:beside|behind)\b/gi,
  /\b(?:tells?|told|says?|said)\b/gi,
  /\b(?:at once|by itself|of its own)\b/gi,
]
const MOST_PER_1000_LINES = 15

it('comments of src are in plain words', () => {
  const lines = sources('src').flatMap((file) =>
    commentsOf(readFileSync(file, 'utf8')).map((comment) => ({ file, comment })),
  )
  const found = lines.flatMap(({ file, comment }) =>
    DIALECT.flatMap((words) =>
      [...comment.matchAll(words)].map(([word]) => `${file}: "${word.trim()}" in: ${comment}`),
    ),
  )
  expect(found.length / (lines.length / 1_000), `\n${found.join('\n')}\n`).toBeLessThanOrEqual(MOST_PER_1000_LINES)
})

it('finds the words that it looks for', () => {
  const source =
    "const a = 'nobody'\n// Who waits is told.\n/** Whatever comes. */\n  /*\n   * behind it\n   */\nconst b = 1 // shall\n"
  expect(commentsOf(source)).toEqual(['Who waits is told.', 'Whatever comes.', 'behind it', 'shall'])
  const words = commentsOf(source).flatMap((line) => DIALECT.flatMap((pattern) => line.match(pattern) ?? []))
  expect(words).toEqual(['Who', 'told', 'Whatever', 'behind', 'shall'])
})

function sources(dir: string): string[] {
  return readdirSync(dir, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join(dir, name))
}

/** The text of every comment line. A comment stands on lines of its own, or behind code and a space. */
function commentsOf(source: string): string[] {
  return source.split('\n').flatMap((line) => {
    const text = /^\s*(?:\/\/|\/\*\*?|\*(?!\/))\s?(.*?)(?:\*\/)?$/.exec(line)?.[1] ?? /\s\/\/ (.*)$/.exec(line)?.[1]
    return text?.trim() ? [text.trim()] : []
  })
}
