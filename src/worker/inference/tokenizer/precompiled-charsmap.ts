// SentencePiece's precompiled normalization table, from tokenizer.json of XLM-R, ALBERT and DeBERTa. The library
// approximates it by NFKC and a list of characters; this file reads it.

/** A longer grapheme cluster, in bytes of UTF-8, is not looked up as a whole (`Precompiled` of tokenizers). */
const MAX_CLUSTER_BYTES = 5

/** UTF-16 units per call of the segmenter, whose time grows with the square of the text. */
const WINDOW = 512

const segmenter = new Intl.Segmenter('und', { granularity: 'grapheme' })
const toUtf8 = new TextEncoder()
const fromUtf8 = new TextDecoder()

/** Characters outside printable ASCII, with the ASCII characters next to them, which may share a cluster with them. */
const NOT_PLAIN_ASCII = /[\x20-\x7e]?[^\x20-\x7e]+(?:[\x20-\x7e][^\x20-\x7e]+)*[\x20-\x7e]?/gu

/**
 * @param base64 a double-array trie (Darts: its length, then 32-bit units) and the texts that its leaves point at.
 * @returns a function that replaces every grapheme cluster, or else each of its characters, by the table's entry
 * (`precompiled.rs` of tokenizers, `spm_precompiled`).
 */
export function readCharsmap(base64: string): (text: string) => string {
  const bytes = Buffer.from(base64, 'base64')
  const trieBytes = bytes.readUInt32LE(0)
  const trie = Uint32Array.from({ length: trieBytes / 4 }, (_unit, index) => bytes.readUInt32LE(4 + 4 * index))
  const replacements = bytes.subarray(4 + trieBytes)
  const cache = new Map<string, string | undefined>()

  function find(key: string): string | undefined {
    if (!cache.has(key)) {
      const start = firstLeaf(trie, toUtf8.encode(key))
      const found = start === undefined ? undefined : replacements.subarray(start, replacements.indexOf(0, start))
      cache.set(key, found && fromUtf8.decode(found))
    }
    return cache.get(key)
  }

  function replaceClusters(text: string): string {
    let replaced = ''
    for (const cluster of clusters(text)) {
      const whole = Buffer.byteLength(cluster) <= MAX_CLUSTER_BYTES ? find(cluster) : undefined
      replaced += whole ?? Array.from(cluster, (character) => find(character) ?? character).join('')
    }
    return replaced
  }

  // A table with entries for printable ASCII must see the whole text.
  const plainAscii = Array.from({ length: 0x5f }, (_unit, index) => String.fromCharCode(0x20 + index))
  if (plainAscii.some((character) => find(character) !== undefined)) return replaceClusters
  return (text) => text.replace(NOT_PLAIN_ASCII, replaceClusters)
}

/** The grapheme clusters of a text, in time that grows with its length. */
function* clusters(text: string): Generator<string> {
  let start = 0
  let width = WINDOW
  while (start < text.length) {
    const window = text.slice(start, start + width)
    const isLast = start + width >= text.length
    // A window is widened only for the long cluster at its start, so the others are not read.
    const found = width > WINDOW ? firstOf(window) : Array.from(segmenter.segment(window), ({ segment }) => segment)
    const end = found.reduce((sum, { length }) => sum + length, 0)
    // The last cluster of a window may continue in the next one.
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

/** @returns the offset of the replacement for the shortest prefix of `key`; undefined when there is none. */
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
