// SentencePiece's own table of normalisations, as XLM-R, ALBERT and DeBERTa carry it in tokenizer.json. The library only
// imitates what it usually says; here it is read.

/** So long in UTF-8 may a cluster be that is looked up as a whole (tokenizers' Precompiled). */
const LONGEST_CLUSTER = 5

/** UTF-16 units that the segmenter gets at once: what it takes grows with the square of the text. */
const WINDOW = 512

const segmenter = new Intl.Segmenter('und', { granularity: 'grapheme' })
const toUtf8 = new TextEncoder()
const fromUtf8 = new TextDecoder()

/** What needs a look: signs beyond printable ASCII, with an ASCII neighbour on each side that may belong to their cluster. */
const STRANGE = /[\x20-\x7e]?[^\x20-\x7e]+(?:[\x20-\x7e][^\x20-\x7e]+)*[\x20-\x7e]?/gu

/**
 * @param base64 a double-array trie (Darts: its length, then 32-bit units) and the texts that its leaves point at.
 * @returns the text with every cluster, or else every sign, replaced by what the table says (`precompiled.rs` of
 * tokenizers, `spm_precompiled`).
 */
export function readCharsmap(base64: string): (text: string) => string {
  const bytes = Buffer.from(base64, 'base64')
  const trieBytes = bytes.readUInt32LE(0)
  const trie = Uint32Array.from({ length: trieBytes / 4 }, (_unit, index) => bytes.readUInt32LE(4 + 4 * index))
  const replacements = bytes.subarray(4 + trieBytes)
  const known = new Map<string, string | undefined>()

  function find(part: string): string | undefined {
    if (!known.has(part)) {
      const start = firstLeaf(trie, toUtf8.encode(part))
      const found = start === undefined ? undefined : replacements.subarray(start, replacements.indexOf(0, start))
      known.set(part, found && fromUtf8.decode(found))
    }
    return known.get(part)
  }

  function replaceClusters(text: string): string {
    let replaced = ''
    for (const segment of clusters(text)) {
      const whole = Buffer.byteLength(segment) <= LONGEST_CLUSTER ? find(segment) : undefined
      replaced += whole ?? Array.from(segment, (sign) => find(sign) ?? sign).join('')
    }
    return replaced
  }

  // A table that changes plain ASCII would have to see all of a text.
  const plain = Array.from({ length: 0x5f }, (_sign, index) => String.fromCharCode(0x20 + index))
  if (plain.some((sign) => find(sign) !== undefined)) return replaceClusters
  return (text) => text.replace(STRANGE, replaceClusters)
}

/** The grapheme clusters of a text of any length. */
function* clusters(text: string): Generator<string> {
  let start = 0
  let width = WINDOW
  while (start < text.length) {
    const window = text.slice(start, start + width)
    const isLast = start + width >= text.length
    // In a widened window only the long cluster at its beginning is of interest.
    const found = width > WINDOW ? firstOf(window) : Array.from(segmenter.segment(window), ({ segment }) => segment)
    const end = found.reduce((sum, { length }) => sum + length, 0)
    // The last cluster of a window may go on behind it.
    if (end === window.length && !isLast) found.pop()
    yield* found
    start += found.reduce((sum, { length }) => sum + length, 0)
    width = found.length > 0 ? WINDOW : 2 * width
  }
}

function firstOf(window: string): string[] {
  for (const { segment } of segmenter.segment(window)) return [segment]
  return []
}

/** Where the text begins that replaces the shortest known beginning of `key`; undefined when there is none. */
function firstLeaf(trie: Uint32Array, key: Uint8Array): number | undefined {
  let at = offset(trie[0] ?? 0)
  for (const byte of key) {
    if (byte === 0) return undefined
    at ^= byte
    const unit = trie[at] ?? 0
    if ((unit & 0x8000_00ff) !== byte) return undefined
    at ^= offset(unit)
    if ((unit >>> 8) & 1) return (trie[at] ?? 0) & 0x7fff_ffff
  }
  return undefined
}

function offset(unit: number): number {
  return (unit >>> 10) << ((unit & 0x200) >>> 6)
}
