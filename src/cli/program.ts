// The commands and their options.
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander'
import { Inferq } from '../client/client.ts'
import type { PredictOptions } from '../client/types.ts'
import { VERSION } from '../version.ts'
import { batch, type BatchFlags } from './batch/command.ts'
import { EXIT, UsageError } from './failure.ts'
import { addModelCommands } from './models/commands.ts'
import { predict, type PredictFlags } from './predict.ts'
import { report, type Terminal } from './terminal.ts'

/** @param args without the program's name. @returns the exit code. @throws what `explain` explains. */
export async function runProgram(args: string[], terminal: Terminal): Promise<number> {
  let code: number = EXIT.ok
  const program = new Command('inferq')
    .description('Asks an inferq server from the command line, and looks after its models.')
    .version(VERSION)
    .addOption(new Option('--url <url>', 'where the server is').env('INFERQ_URL').default('http://localhost:8000'))
    .addOption(new Option('--key <key>', 'an API key').env('INFERQ_API_KEY'))
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({
      writeOut: (text) => terminal.stdout.write(text),
      writeErr: (text) => terminal.stderr.write(text),
    })
    .showSuggestionAfterError()
    .exitOverride()
    .addHelpText('after', EXAMPLES)
  const client = () => clientOf(program.opts<ConnectFlags>(), terminal)

  withPredictOptions(program.command('predict').argument('[texts...]', 'without any: lines from stdin'))
    .description('Classifies texts while you wait.')
    .option('--json', 'one JSON object a text, also on a terminal')
    .addHelpText('after', PREDICT_EXAMPLES)
    .action(async (texts: string[], flags: PredictFlags) => {
      code = await predict(client(), texts, cutUnlessTold(flags), terminal)
    })

  withPredictOptions(program.command('batch').argument('[file]', 'JSONL, CSV, TSV or plain lines; "-" is stdin'))
    .description('Classifies a whole file; the same command again goes on after an interruption.')
    .option('--input <file>', 'the same as the argument')
    .option('--output <file>', 'a .jsonl or .csv; "-" is stdout (default: FILE.results.jsonl; stdout for a pipe)')
    .addOption(
      new Option('--format <format>', 'of the input, if its name does not tell').choices(['jsonl', 'csv', 'lines']),
    )
    .addOption(new Option('--output-format <format>', 'if its name does not tell').choices(['jsonl', 'csv']))
    .option('--column <name>', 'the column, or key, with the text (default: text, or the only one)')
    .option('--pair-column <name>', 'the column with the second text, for models that judge pairs')
    .option('--delimiter <character>', 'between the columns (default: a comma; a tab for .tsv)', oneCharacter)
    .option('--restart', 'begin anew: earlier results are deleted, an unfinished batch is cancelled')
    .addHelpText('after', BATCH_EXAMPLES)
    .action(async (file: string | undefined, flags: BatchFlags) => {
      const input = file ?? flags.input
      if (!input || (file !== undefined && flags.input && flags.input !== file)) {
        throw new UsageError('which file? Give one FILE, or "-" for stdin (inferq batch --help)')
      }
      code = await batch(client(), { ...cutUnlessTold(flags), input, url: program.opts<ConnectFlags>().url }, terminal)
    })

  addModelCommands(program, { client, terminal, end: (given) => (code = given) })

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

function clientOf({ url, key }: ConnectFlags, terminal: Terminal): Inferq {
  if (!/^https?:\/\//.test(url) || !URL.canParse(url))
    throw new UsageError(`"${url}" is no URL such as http://localhost:8000`)
  return new Inferq({
    url,
    key,
    // A command has the time that its user has: Ctrl-C ends it.
    maxBusyWait: Number.POSITIVE_INFINITY,
    onBusy: (seconds) => report(terminal, `the server is busy; trying again in ${seconds} s`),
  })
}

function withPredictOptions(command: Command): Command {
  return command
    .option('--model <name>', "a model, or name@revision (default: the server's)")
    .option('--top-k <n>', 'at most so many labels a text', positiveInteger)
    .addOption(
      new Option('--function <name>', "how logits become scores (default: the model's own)").choices([
        'softmax',
        'sigmoid',
        'none',
      ]),
    )
    .option('--no-truncate', "a text over the model's limit is an error instead of being cut")
}

/** `--no-truncate` stands for a false; without it nothing is said, so that a line of a file may report otherwise. */
function cutUnlessTold<Flags extends PredictOptions>(flags: Flags): Flags {
  return { ...flags, truncate: flags.truncate === false ? false : undefined }
}

function positiveInteger(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError('It must be a whole number from 1 on.')
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

Exit codes: 0 fine, 1 something failed, 2 wrong usage, 130 interrupted.`

const PREDICT_EXAMPLES = `
Examples:
  $ inferq predict "She saw him." "Her saw he."
  $ inferq predict --model sentiment --top-k 1 < lines.txt > answers.jsonl

On a terminal answers are a table; in a pipe, or with --json, one JSON object a text. Blank lines are passed over.`

const BATCH_EXAMPLES = `
Examples:
  $ inferq batch reviews.csv --column review --output judged.csv
  $ inferq batch requests.jsonl              # OpenAI batch lines, or {"text": "…"} objects
  $ zcat comments.txt.gz | inferq batch - --format lines > judged.jsonl

Ctrl-C stops following; the batch goes on, and the same command again picks its results up.`
