// Formats figures as a Markdown table, and describes the machine.
import { cpus, loadavg, totalmem } from 'node:os'
import type { Figure } from './question.ts'

/** Cards have three digits; another processor may change the label of one text in several hundred. */
const CARD_DIGITS = 0.01

/** The ratio column is relative to the limit when the budget is a share of it, else to the budget. */
export function table(figures: Figure[]): string {
  const rows = figures.map((figure) => {
    const { what, measured, unit, budget } = figure
    return [what, quantity(measured, unit), budgetOf(figure), budget ? ratioOf(figure).toFixed(2) : '', verdict(figure)]
  })
  const all = [['figure', 'measured', 'budget', 'ratio', 'met'], ...rows]
  const widths = [0, 1, 2, 3, 4].map((column) => Math.max(...all.map((row) => (row[column] as string).length)))
  const line = (row: string[]) =>
    `| ${row.map((cell, column) => (column === 0 || column === 4 ? cell.padEnd(widths[column] as number) : cell.padStart(widths[column] as number))).join(' | ')} |`
  const ruler = `|${widths.map((width, column) => (column === 0 || column === 4 ? '-'.repeat(width + 2) : `${'-'.repeat(width + 1)}:`)).join('|')}|`
  return [line(all[0] as string[]), ruler, ...rows.map(line)].join('\n')
}

export function machine(): string {
  const [first] = cpus()
  const memory = Math.round(totalmem() / 2 ** 30)
  const busy = (loadavg()[0] as number).toFixed(1)
  return `${first?.model ?? 'unknown CPU'}, ${cpus().length} CPUs, ${memory} GB; Node ${process.versions.node}; ${process.platform}; load before the start: ${busy}`
}

function ratioOf({ measured, budget }: Figure): number {
  if (!budget) return Number.NaN
  if ('card' in budget) return measured / budget.card
  return 'max' in budget ? measured / budget.max : measured / budget.of
}

function verdict(figure: Figure): string {
  const { budget } = figure
  if (!budget) return ''
  return isMet(figure.measured, budget) ? 'yes' : 'no'
}

function isMet(measured: number, budget: NonNullable<Figure['budget']>): boolean {
  if ('card' in budget) return Math.abs(measured - budget.card) < CARD_DIGITS
  return 'max' in budget ? measured <= budget.max : measured / budget.of >= budget.share
}

function budgetOf({ unit, budget }: Figure): string {
  if (!budget) return ''
  if ('card' in budget) return `card: ${budget.card}`
  return 'max' in budget
    ? `≤ ${quantity(budget.max, unit)}`
    : `≥ ${budget.share.toFixed(2)} of ${quantity(budget.of, unit)}`
}

/** Formats with three significant digits, or all digits of the integer part. */
function quantity(value: number, unit: string): string {
  if (Math.abs(value) < 1 && unit === '') return value.toFixed(3)
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2
  const number = value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits })
  return unit ? `${number} ${unit}` : number
}
