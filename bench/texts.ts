// Fixed English sentences with the length distribution of CoLA.
import { readFileSync } from 'node:fs'

/** How many of 1,000 CoLA sentences have 5, 6, 7 … tokens, special tokens included; 11.4 on average. */
const LENGTH_COUNTS = [
  16, 38, 76, 113, 135, 131, 106, 92, 66, 52, 39, 28, 22, 17, 15, 12, 8, 8, 8, 5, 3, 0, 4, 2, 1, 2, 0, 2,
]
const MIN_TOKENS = 5

interface Parity {
  cases: { text: string; ids: number[] }[]
}

/** Draws `count` sentences of the parity test with a fixed seed; most occur several times. */
export function sentences(count: number): string[] {
  const file = new URL('../test/fixtures/parity/cola.json', import.meta.url)
  const { cases } = JSON.parse(readFileSync(file, 'utf8')) as Parity
  const ordinary = cases.filter(({ text }) => /^[A-Z][ -~]*[.?!]$/.test(text))
  const random = numbers(20)
  const draw = <T>(from: T[]) => from[Math.floor(random() * from.length)] as T
  const byTokens = LENGTH_COUNTS.flatMap((share, index) => {
    const texts = ordinary.flatMap(({ text, ids }) => (ids.length === MIN_TOKENS + index ? [text] : []))
    return new Array<string[]>(texts.length > 0 ? share : 0).fill(texts)
  })
  return Array.from({ length: count }, () => draw(draw(byTokens)))
}

/** Seeded pseudo-random numbers in [0, 1) (mulberry32). */
function numbers(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
