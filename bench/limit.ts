// Upper bound: ONNX Runtime alone in a child process, without queue and HTTP.
import { askChild } from './child.ts'
import type { BenchModel } from './models.ts'
import { type Bench, median } from './question.ts'
import { sentences } from './texts.ts'

export interface LimitOrder {
  name: string
  dir: string
  texts: string[]
  threads: number
  /**
   * sorted: tokens to logits, in runs of 32 texts of similar length; alone: the same with one text per run; from-text:
   * sorted, including tokenizing and packing.
   */
  way: 'sorted' | 'alone' | 'from-text'
  warmUpSeconds: number
  seconds: number
}

export interface LimitResult {
  textsPerSecond: number
  /** Of one run, milliseconds. */
  p50: number
}

const TEXTS = 1_024

export function measureAlone(
  { effort, signal }: Bench,
  { name, dir }: BenchModel,
  way: LimitOrder['way'],
  threads = 1,
): Promise<LimitResult> {
  const { warmUpSeconds, seconds } = effort
  const order: LimitOrder = { name, dir, texts: sentences(TEXTS), threads, way, warmUpSeconds, seconds }
  return askChild('./alone.ts', order, signal)
}

/** Texts per second of ONNX Runtime alone with one and with two threads, one entry per run. */
export interface Limit {
  one: number[]
  two: number[]
}

export async function measureLimit(bench: Bench, model: BenchModel, limit: Limit): Promise<void> {
  limit.one.push((await measureAlone(bench, model, 'sorted', 1)).textsPerSecond)
  limit.two.push((await measureAlone(bench, model, 'sorted', 2)).textsPerSecond)
}

export function better({ one, two }: Limit): number {
  return Math.max(median(one), median(two))
}
