// A table for the terminal.
import { oneLine, shorten } from './terminal.ts'

/** @param rows the titles, then the cells. @param columns width of the terminal. @returns lines. */
export function tableText(rows: string[][], columns: number): string {
  const widths = (rows[0] ?? []).map((_title, at) => Math.max(...rows.map((row) => row[at]?.length ?? 0)))
  const lines = rows.map((row) =>
    row
      .map((cell, at) => cell.padEnd(widths[at] ?? 0))
      .join('  ')
      .trimEnd(),
  )
  return lines.map((line) => `${oneLine(shorten(line, columns))}\n`).join('')
}
