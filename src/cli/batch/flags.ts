// Options of `inferq batch`, and what they mean for the input and the output.
import type { PredictOptions } from '../../client/types.ts'
import { UsageError } from '../failure.ts'
import type { InputOptions, Layout } from './input/input-rows.ts'
import { type Format, formatOf } from './input/source.ts'
import type { OutputFormat } from './result-writer.ts'

export interface BatchFlags extends PredictOptions {
  /** A path, or `-` for stdin. */
  input: string
  /** A path, or `-` for stdout; by default a file next to the input, or stdout for a pipe. */
  output?: string | undefined
  format?: Format | undefined
  outputFormat?: OutputFormat | undefined
  column?: string | undefined
  pairColumn?: string | undefined
  delimiter?: string | undefined
  completeBy?: Date | undefined
  restart?: boolean | undefined
  /** Keeps the uploaded files on the server. */
  keep?: boolean | undefined
  /** The URL of the server, without credentials. */
  url: string
}

/** @returns undefined for stdout. */
export function outputNameOf({ input, output }: BatchFlags): string | undefined {
  if (output === '-' || (output === undefined && input === '-')) return undefined
  return output ?? `${input}.results.jsonl`
}

export function outputFormatOf(flags: BatchFlags): OutputFormat {
  if (flags.outputFormat) return flags.outputFormat
  const name = outputNameOf(flags)
  return name !== undefined && formatOf(name) === 'csv' ? 'csv' : 'jsonl'
}

/** A `.tsv` has tabs; another table keeps semicolons or bars of its input. */
export function outputDelimiterOf(flags: BatchFlags, { kind, delimiter }: Pick<Layout, 'kind' | 'delimiter'>): string {
  if (outputNameOf(flags)?.toLowerCase().endsWith('.tsv')) return '\t'
  return kind === 'table' && delimiter !== '\t' ? delimiter : ','
}

/** @throws UsageError for an input of an unknown format. */
export function inputOptionsOf(flags: BatchFlags): InputOptions {
  const { input, column, pairColumn, delimiter, model, topK, truncate, truncationDirection } = flags
  const format = flags.format ?? (input === '-' ? 'lines' : formatOf(input))
  if (format === undefined) {
    throw new UsageError(`unknown file extension of ${input}: give --format jsonl, csv or lines`)
  }
  const options = { model, topK, truncate, truncationDirection, function: flags.function }
  const usual = input.toLowerCase().endsWith('.tsv') ? '\t' : ','
  return {
    format,
    column,
    pairColumn,
    delimiter: delimiter ?? usual,
    isDelimiterGiven: delimiter !== undefined,
    options,
  }
}
