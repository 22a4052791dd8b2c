// Output rows: the columns of the input, then the result.
import { stringify } from 'csv-stringify/sync'
import { resultOf } from '../../client/calls/batch-result.ts'
import type { BatchLine } from '../../client/types.ts'
import { type BestLabel, bestLabel } from '../best-label.ts'
import type { InputRow } from './input/input-rows.ts'
import { membersOf, withMembers } from './input/raw-json.ts'
import { freePrefix, resultColumns, resultMembers } from './result-names.ts'

export type OutputFormat = 'jsonl' | 'csv'

export interface Result {
  row: InputRow
  line: BatchLine
}

export interface ResultWriterOptions {
  format: OutputFormat
  /** Separator of CSV; a comma by default. */
  delimiter?: string
  /** The lines of the server are written unchanged, for inputs of OpenAI's batch lines. */
  verbatim: boolean
  /** The keys or columns of the input. */
  names: string[]
  topK: number | undefined
}

export class ResultWriter {
  readonly #options: ResultWriterOptions
  readonly #prefix: string

  constructor(options: ResultWriterOptions) {
    this.#options = options
    const { format, names, topK } = options
    this.#prefix = freePrefix(names, format === 'csv' ? resultColumns(topK) : resultMembers)
  }

  /** The first line of the output; empty for JSONL. */
  get header(): string {
    const { format, names } = this.#options
    return format === 'csv' ? this.#table([[...names, ...this.#columns()]]) : ''
  }

  /** @returns text that ends with a newline. */
  format(results: Result[]): string {
    const { format, verbatim } = this.#options
    if (format === 'csv') return this.#table(results.map((result) => this.#cells(result)))
    if (verbatim) return results.map(({ line }) => `${JSON.stringify(line)}\n`).join('')
    return results.map((result) => `${this.#object(result)}\n`).join('')
  }

  #table(rows: string[][]): string {
    const { delimiter = ',' } = this.#options
    return stringify(rows, { delimiter })
  }

  #object({ row, line }: Result): string {
    const { names } = this.#options
    const members = Object.entries(this.#bestLabel(line)).map(([name, value]) => [this.#prefix + name, value] as const)
    return withMembers(jsonOf(row, names), Object.fromEntries(members))
  }

  #columns(): string[] {
    return resultColumns(this.#options.topK).map((name) => this.#prefix + name)
  }

  #cells({ row, line }: Result): string[] {
    const { names, topK = 1 } = this.#options
    const { label, score, scores, error } = this.#bestLabel(line)
    const ranked = scores ?? (label === undefined ? [] : [{ label, score: score ?? 0 }])
    const columns = Array.from({ length: topK }, (_, at) => ranked[at]).flatMap((each) =>
      each ? [each.label, String(each.score)] : ['', ''],
    )
    return [...cellsOf(row, names), ...columns, error ?? '']
  }

  #bestLabel(line: BatchLine): BestLabel {
    return bestLabel(resultOf(line), this.#options.topK)
  }
}

/** The row as a JSON object; what was JSON in the input is unchanged. */
function jsonOf({ content }: InputRow, names: string[]): string {
  if ('json' in content) return content.json
  // Not an object, which would move names that are numbers to the front.
  const members = names.map((name, at) => `${JSON.stringify(name)}:${JSON.stringify(content.cells[at] ?? '')}`)
  return `{${members.join(',')}}`
}

function cellsOf({ content }: InputRow, names: string[]): string[] {
  if ('cells' in content) return content.cells
  const members = new Map(membersOf(content.json))
  return names.map((name) => cell(members.get(name)))
}

/** @param raw JSON; undefined for a missing member. */
function cell(raw: string | undefined): string {
  if (raw === undefined || raw === 'null') return ''
  return raw.startsWith('"') ? (JSON.parse(raw) as string) : raw
}
