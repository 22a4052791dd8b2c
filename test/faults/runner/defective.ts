// Texts and models with which the library of defects.mjs misbehaves, and the environment of a worker that has it.
import { cpSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { TINY_MODELS } from '../../helpers/stack.ts'

export const DEFECTIVE = { NODE_OPTIONS: `--import=${new URL('./defects.mjs', import.meta.url).href}` }

const TOKENS = { fails: 201, crashes: 202, hangs: 203, grows: 204, slow: 205, traced: 206 }
/** First and last token of every text. */
const SPECIAL_TOKENS = 2

export type Defect = keyof typeof TOKENS

/**
 * A text on which the native call misbehaves; `slow` takes 0.4 s, and so does `traced`, which adds the
 * time of its start to TRACE_FILE.
 */
export function textThat(defect: Defect): string {
  return 'a '.repeat(TOKENS[defect] - SPECIAL_TOKENS).trim()
}

/**
 * Makes a folder of copies of a small model. One whose name ends in `-fails`, `-crashes`, `-hangs` or `-grows` does so when
 * it is loaded.
 */
export function modelsNamed(dir: string, names: string[]): string {
  mkdirSync(dir, { recursive: true })
  for (const name of names) cpSync(join(TINY_MODELS, 'tiny-fp32'), join(dir, name), { recursive: true })
  return dir
}

/** The same, one model, each of whose texts runs alone. */
export function isolatedModel(dir: string, name: string): string {
  modelsNamed(dir, [name])
  writeFileSync(join(dir, name, 'inferq.json'), JSON.stringify({ isolate: true }))
  return dir
}
