// `inferq batch`: its options and subcommands.
import { type Command, InvalidArgumentError, Option } from 'commander'
import type { Inferq } from '../../client/client.ts'
import { serverOf } from '../../client/http/base-url.ts'
import { UsageError } from '../failure.ts'
import { positiveInteger, withExplicitTruncate, withPredictOptions } from '../predict-options.ts'
import type { Terminal } from '../terminal.ts'
import { batch } from './command.ts'
import type { BatchFlags } from './flags.ts'
import { followBatch } from './follow-command.ts'
import { type BatchListFlags, cancelBatches, listBatches, showBatches } from './manage.ts'
import { timeOf } from './time.ts'

export interface BatchCommands {
  client: () => Promise<Inferq>
  /** The URL of the server, as given. */
  url: () => string
  terminal: Terminal
  setExitCode: (code: number) => void
}

export function addBatchCommands(program: Command, { client, url, terminal, setExitCode }: BatchCommands): void {
  const command = withPredictOptions(
    program.command('batch').argument('[file]', 'JSONL, CSV, TSV or plain lines; "-" is stdin'),
  )
    .description('Classifies a whole file; the same command resumes an interrupted run.')
    .option('--input <file>', 'the same as the argument')
    .option('--output <file>', 'a .jsonl or .csv file; "-" is stdout (default: FILE.results.jsonl; stdout for a pipe)')
    .addOption(
      new Option('--format <format>', 'of the input (default: by the file extension)').choices([
        'jsonl',
        'csv',
        'lines',
      ]),
    )
    .addOption(
      new Option('--output-format <format>', 'of the output (default: by the file extension)').choices([
        'jsonl',
        'csv',
      ]),
    )
    .option('--column <name>', 'the column or key with the text (default: text, or the only column)')
    .option('--pair-column <name>', 'the column with the second text, for models that classify pairs')
    .option(
      '--delimiter <character>',
      'column separator (default: a comma, a tab for .tsv, or what the header proves)',
      oneCharacter,
    )
    .option(
      '--complete-by <time>',
      'when all rows must be done, and the rest is given up: 5h, or a time such as 2030-01-31T06:00Z',
      timeOf,
    )
    .option('--restart', 'start over: replace the results of an earlier run, and cancel an unfinished one')
    .option('--keep', 'keep the uploaded file and its results on the server')
    .addHelpText('after', EXAMPLES)
    .action(async (file: string | undefined, flags: BatchFlags) => {
      const input = file ?? flags.input
      if (!input || (file !== undefined && flags.input && flags.input !== file)) {
        throw new UsageError('give exactly one FILE, or "-" for stdin (see inferq batch --help)')
      }
      const inferq = await client()
      const options = { ...withExplicitTruncate(flags), input, url: serverOf(url(), undefined).url }
      setExitCode(await batch(inferq, options, terminal))
    })

  command
    .command('list')
    .description('Lists the batches on the server, the newest first.')
    .option('--limit <n>', 'maximum number', positiveInteger, 20)
    .option('--json', 'one JSON object per batch')
    .action(async (flags: BatchListFlags) => setExitCode(await listBatches(await client(), flags, terminal)))

  command
    .command('show')
    .alias('status')
    .argument('<id...>')
    .description('Prints batches of the server.')
    .option('--json', 'one JSON object per batch')
    .action(async (ids: string[], flags: { json?: boolean }) =>
      setExitCode(await showBatches(await client(), ids, flags, terminal)),
    )

  command
    .command('cancel')
    .argument('<id...>')
    .description('Cancels batches on the server; their finished rows are kept.')
    .option('--json', 'one JSON object per batch')
    .action(async (ids: string[], flags: { json?: boolean }) =>
      setExitCode(await cancelBatches(await client(), ids, flags, terminal)),
    )

  command
    .command('follow')
    .argument('<id>')
    .description('Prints the rows of a batch as they arrive, until it ends.')
    .option('--after <n>', 'rows to skip, which are known already', positiveInteger)
    .action(async (id: string, { after }: { after?: number }) =>
      setExitCode(await followBatch(await client(), id, after ?? 0, terminal)),
    )
}

function oneCharacter(text: string): string {
  const character = text === '\\t' ? '\t' : text
  if (character.length !== 1) throw new InvalidArgumentError('It must be one character.')
  return character
}

const EXAMPLES = `
Examples:
  $ inferq batch reviews.csv --column review --output judged.csv
  $ inferq batch requests.jsonl              # OpenAI batch lines, or {"text": "…"} objects
  $ zcat comments.txt.gz | inferq batch - --format lines > judged.jsonl
  $ inferq batch texts.txt --complete-by 5h
  $ inferq batch follow batch_… > rows.jsonl # also: inferq batch list, show ID, cancel ID

Ctrl-C stops the command but not the batch; the same command resumes and fetches the rest of the results.
A file named list, show, status, cancel or follow is given as ./list.`
