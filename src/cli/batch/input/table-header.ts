// Header of a table: its separator and the column with the text.
// Neither is guessed: a separator other than the usual one is taken only when the wanted columns prove it.
import { CommandError, UsageError } from '../../failure.ts'

export interface TableHeader {
  delimiter: string
  columns: string[]
  /** The column of the text. */
  column: string
  /** What the user did not state. */
  notes: string[]
}

export interface WantedTable {
  /** For messages. */
  name: string
  delimiter: string
  isDelimiterGiven?: boolean | undefined
  column?: string | undefined
  pairColumn?: string | undefined
  /** @returns the first record; undefined without one. @throws CommandError for a malformed table. */
  read: (delimiter: string) => Promise<string[] | undefined>
}

const DEFAULT_COLUMN = 'text'
const SEPARATORS: Record<string, string> = { ',': 'a comma', ';': 'a semicolon', '\t': 'a tab', '|': 'a vertical bar' }

/** @throws CommandError, or UsageError with the options to give. */
export async function readTableHeader(table: WantedTable): Promise<TableHeader> {
  const { delimiter, isDelimiterGiven, column = DEFAULT_COLUMN, pairColumn } = table
  const wanted = pairColumn === undefined ? [column] : [column, pairColumn]
  const usual = await attempt(table, delimiter)
  const others = Object.keys(SEPARATORS).filter((each) => each !== delimiter)
  const found = Array.isArray(usual) && wanted.every((each) => usual.includes(each))
  if (!found && !isDelimiterGiven) {
    const headers = await Promise.all(others.map(async (each) => ({ each, columns: await attempt(table, each) })))
    const proved = headers.flatMap(({ each, columns }) => {
      return Array.isArray(columns) && columns.length > 1 && wanted.every((name) => columns.includes(name))
        ? [{ delimiter: each, columns }]
        : []
    })
    const [first, second] = proved
    if (first && !second) {
      const note = `the columns of ${table.name} are separated by ${SEPARATORS[first.delimiter]}`
      return { ...first, column, notes: [note], columns: checkedColumns(table, first.columns) }
    }
    const seeming = headers.find(({ columns }) => Array.isArray(columns) && columns.length > 1)
    if (seeming && Array.isArray(seeming.columns) && !(Array.isArray(usual) && usual.length > 1)) {
      throw new UsageError(seemsSeparated(table, seeming.each, seeming.columns))
    }
  }
  if (!Array.isArray(usual)) throw usual
  const columns = checkedColumns(table, usual)
  if (found) return { delimiter, columns, column, notes: [] }
  return { delimiter, columns, ...onlyColumn(table, columns) }
}

async function attempt(table: WantedTable, delimiter: string): Promise<string[] | CommandError> {
  try {
    return (await table.read(delimiter)) ?? new CommandError(`${table.name} has no header`)
  } catch (error) {
    if (error instanceof CommandError) return error
    throw error
  }
}

function checkedColumns({ name }: WantedTable, columns: string[]): string[] {
  const duplicate = columns.find((each, at) => columns.indexOf(each) !== at)
  if (duplicate !== undefined) throw new CommandError(`${name} has two columns "${duplicate}"`)
  return columns
}

function seemsSeparated({ name, column }: WantedTable, delimiter: string, columns: string[]): string {
  const option = delimiter === '\t' ? '\\t' : delimiter
  const missing = column === undefined ? ' and --column' : ''
  if (columns[0]?.trim().toLowerCase() === 'sep=') {
    return `the first line of ${name} is "sep=${delimiter}", an instruction for Excel: remove it`
  }
  return (
    `the columns of ${name} seem to be separated by ${SEPARATORS[delimiter]} (${quoted(columns)}): ` +
    `give --delimiter '${option}'${missing}`
  )
}

/** Without --column, a table of one column needs none; the name must not be a text of a file without a header. */
function onlyColumn(
  { name, column, pairColumn }: WantedTable,
  columns: string[],
): Pick<TableHeader, 'column' | 'notes'> {
  const [only] = columns
  if (column === undefined && only !== undefined && columns.length === 1 && pairColumn === undefined) {
    if (/\s\S+\s|[.!?…]$/.test(only.trim())) {
      throw new UsageError(
        `the first line of ${name}, "${only}", is it a header? If so, give --column "${only}"; ` +
          '--format lines reads a file without a header',
      )
    }
    return { column: only, notes: [`the texts of ${name} are in its only column, "${only}"`] }
  }
  if (column === undefined && !columns.includes(DEFAULT_COLUMN)) {
    throw new UsageError(`--column is required, one of ${quoted(columns)}`)
  }
  const missing = [column ?? DEFAULT_COLUMN, pairColumn].find((each) => each !== undefined && !columns.includes(each))
  throw new UsageError(`no such column "${missing}"; the columns are ${quoted(columns)}`)
}

function quoted(columns: string[]): string {
  return columns.map((name) => `"${name}"`).join(', ')
}
