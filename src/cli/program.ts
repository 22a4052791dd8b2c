// Commands and options of `inferq`.
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander'
import { serverOf, withoutCredentials } from '../client/base-url.ts'
import { Inferq } from '../client/client.ts'
import type { PredictOptions } from '../client/types.ts'
import { VERSION } from '../package.ts'
import { batch } from './batch/command.ts'
import type { BatchFlags } from './batch/flags.ts'
import { EXIT, UsageError } from './failure.ts'
import { addModelCommands } from './models/commands.ts'
import { type PredictFlags, predict } from './predict.ts'
import { proxyFetch } from './proxy.ts'
import { report, type Terminal } from './terminal.ts'

/** @param args without the program's name. @returns the exit code. @throws errors for `explain`. */
export async function runProgram(args: string[], terminal: Terminal): Promise<number> {
  let code: number = EXIT.ok
  const program = new Command('inferq')
    .description('Classifies texts with an inferq server, and manages its models.')
    .version(VERSION)
    .addOption(
      new Option('--url <url>', 'base URL of the server; may contain a key, or user:password of a proxy')
        .env('INFERQ_URL')
        .default('http://localhost:8000'),
    )
    .addOption(new Option('--key <key>', 'API key').env('INFERQ_API_KEY'))
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({
      writeOut: (text) => terminal.stdout.write(text),
      writeErr: (text) => terminal.stderr.write(text),
    })
    .showSuggestionAfterError()
    .exitOverride()
    .addHelpText('after', EXAMPLES)
  const client = () => clientOf(program.opts<ConnectFlags>(), terminal)

  withPredictOptions(program.command('predict').argument('[texts...]', 'default: lines of stdin'))
    .description('Classifies texts and prints the results immediately.')
    .option('--json', 'one JSON object per text, also on a terminal')
    .addHelpText('after', PREDICT_EXAMPLES)
    .action(async (texts: string[], flags: PredictFlags) => {
      code = await predict(await client(), texts, withExplicitTruncate(flags), terminal)
    })

  withPredictOptions(program.command('batch').argument('[file]', 'JSONL, CSV, TSV or plain lines; "-" is stdin'))
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
    .option('--restart', 'start over: replace the results of an earlier run, and cancel an unfinished one')
    .option('--keep', 'keep the uploaded file and its results on the server')
    .addHelpText('after', BATCH_EXAMPLES)
    .action(async (file: string | undefined, flags: BatchFlags) => {
      const input = file ?? flags.input
      if (!input || (file !== undefined && flags.input && flags.input !== file)) {
        throw new UsageError('give exactly one FILE, or "-" for stdin (see inferq batch --help)')
      }
      code = await batch(
        await client(),
        { ...withExplicitTruncate(flags), input, url: serverOf(program.opts<ConnectFlags>().url, undefined).url },
        terminal,
      )
    })

  addModelCommands(program, { client, terminal, setExitCode: (value) => (code = value) })

  try {
    await program.parseAsync(args, { from: 'user' })
    return code
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    return error.exitCode === 0 ? EXIT.ok : EXIT.usage
  }
}

interface ConnectFlags {
  url: string
  key?: string
}

async function clientOf({ url, key }: ConnectFlags, terminal: Terminal): Promise<Inferq> {
  if (!/^https?:\/\//.test(url) || !URL.canParse(url)) {
    throw new UsageError(`"${withoutCredentials(url)}" is not a URL such as http://localhost:8000`)
  }
  return new Inferq({
    url,
    key,
    fetch: await proxyFetch(url, process.env),
    // A command waits without a limit; the user can interrupt it.
    maxBusyWait: Number.POSITIVE_INFINITY,
    onBusy: (seconds) => report(terminal, `the server is busy; retrying in ${seconds} s`),
  })
}

function withPredictOptions(command: Command): Command {
  return command
    .option('--model <name>', "a model, or name@revision (default: the server's default model)")
    .option('--top-k <n>', 'maximum number of labels per text', positiveInteger)
    .addOption(
      new Option('--function <name>', "function from logits to scores (default: the model's own)").choices([
        'softmax',
        'sigmoid',
        'none',
      ]),
    )
    .option('--no-truncate', "fail for a text that exceeds the model's limit instead of truncating it")
}

/** Without `--no-truncate` the option stays undefined, so that a line of a batch file can set its own. */
function withExplicitTruncate<Flags extends PredictOptions>(flags: Flags): Flags {
  return { ...flags, truncate: flags.truncate === false ? false : undefined }
}

function positiveInteger(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError('It must be a whole number of at least 1.')
  return Number(text)
}

function oneCharacter(text: string): string {
  const character = text === '\\t' ? '\t' : text
  if (character.length !== 1) throw new InvalidArgumentError('It must be one character.')
  return character
}

const EXAMPLES = `
Examples:
  $ inferq predict "The boy is sitting on a bench"
  $ tail -f comments.txt | inferq predict --top-k 1
  $ inferq batch reviews.csv --column review --output judged.csv
  $ inferq models list

Exit codes: 0 success, 1 failure, 2 invalid usage, 130 interrupted.`

const PREDICT_EXAMPLES = `
Examples:
  $ inferq predict "She saw him." "Her saw he."
  $ inferq predict --model sentiment --top-k 1 < lines.txt > answers.jsonl

Results are a table on a terminal; in a pipe, or with --json, one JSON object per text. Blank lines are skipped.`

const BATCH_EXAMPLES = `
Examples:
  $ inferq batch reviews.csv --column review --output judged.csv
  $ inferq batch requests.jsonl              # OpenAI batch lines, or {"text": "…"} objects
  $ zcat comments.txt.gz | inferq batch - --format lines > judged.jsonl

Ctrl-C stops the command but not the batch; the same command resumes and fetches the rest of the results.`
