// Commands and options of `inferq`.
import { Argument, Command, CommanderError, Option } from 'commander'
import { type ClientOptions, Inferq } from '../client/client.ts'
import { withoutCredentials } from '../client/http/base-url.ts'
import { VERSION } from '../package.ts'
import { addBatchCommands } from './batch/commands.ts'
import { completionScript, SHELLS, type Shell } from './completion.ts'
import { EXIT, UsageError } from './failure.ts'
import { addModelCommands } from './models/commands.ts'
import { addOperateCommands } from './operate/commands.ts'
import { type PredictFlags, predict } from './predict.ts'
import { withExplicitTruncate, withPredictOptions } from './predict-options.ts'
import { proxyFetch } from './proxy.ts'
import { print, report, type Terminal } from './terminal.ts'

/** @param args without the program's name. @returns the exit code. @throws errors for `explain`. */
export async function runProgram(args: string[], terminal: Terminal): Promise<number> {
  let code: number = EXIT.ok
  const program = new Command('inferq')
    .description('Starts an inferq server, classifies texts with it, and manages its models.')
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
  const client = (more: Partial<ClientOptions> = {}) => clientOf(program.opts<ConnectFlags>(), terminal, more)

  // bin/inferq.mjs runs it without this program.
  program
    .command('serve')
    .usage('[models...] [options]')
    .argument('[models...]')
    .description('Starts Redis, the api and a worker on this machine, with your models: inferq serve --help')
    .allowUnknownOption()
    .action(() => {
      throw new UsageError('serve takes its options after its name: inferq serve [models...] [options]')
    })

  withPredictOptions(program.command('predict').argument('[texts...]', 'default: lines of stdin'))
    .description('Classifies texts and prints the results immediately.')
    .option('--json', 'one JSON object per text, also on a terminal')
    .addHelpText('after', PREDICT_EXAMPLES)
    .action(async (texts: string[], flags: PredictFlags) => {
      code = await predict(await client(), texts, withExplicitTruncate(flags), terminal)
    })

  const setExitCode = (value: number) => {
    code = value
  }
  const url = () => program.opts<ConnectFlags>().url
  addBatchCommands(program, { client, url, terminal, setExitCode })
  const isUrlGiven = () => program.getOptionValueSource('url') !== 'default'
  addOperateCommands(program, { client, url, isUrlGiven, terminal, setExitCode })
  addModelCommands(program, { client, terminal, setExitCode })
  program
    .command('completion')
    .addArgument(new Argument('<shell>', 'the shell').choices(SHELLS))
    .description('Prints a script that completes commands and options in a shell.')
    .addHelpText('after', COMPLETION_EXAMPLES)
    .action((shell: Shell) => print(terminal.stdout, completionScript(program, shell)))

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

async function clientOf({ url, key }: ConnectFlags, terminal: Terminal, more: Partial<ClientOptions>): Promise<Inferq> {
  if (!/^https?:\/\//.test(url) || !URL.canParse(url)) {
    throw new UsageError(`"${withoutCredentials(url)}" is not a URL such as http://localhost:8000`)
  }
  let reported = ''
  return new Inferq({
    url,
    key,
    fetch: await proxyFetch(url, process.env),
    // Commands report a server that does not answer; batch, which may run for hours, repeats its requests.
    connectionRetries: 0,
    // A command waits without a limit; the user can interrupt it.
    maxBusyWait: Number.POSITIVE_INFINITY,
    onBusy: (seconds, { status, type, message }) => {
      const isBusy = status === 429 && type !== 'deadline_unreachable'
      const reason = isBusy ? 'the server is busy' : `the server responded: ${message}`
      const line = `${reason}; retrying in ${seconds} s`
      if (line !== reported) report(terminal, line)
      reported = line
    },
    ...more,
  })
}

const EXAMPLES = `
Examples:
  $ inferq serve ./my-classifier --open
  $ inferq predict "The boy is sitting on a bench"
  $ tail -f comments.txt | inferq predict --top-k 1
  $ inferq batch reviews.csv --column review --output judged.csv
  $ inferq models list
  $ inferq status                            # also: inferq jobs, inferq batch list

Exit codes: 0 success, 1 failure, 2 invalid usage, 130 interrupted.`

const COMPLETION_EXAMPLES = `
Examples:
  $ source <(inferq completion bash)         # in ~/.bashrc; zsh the same, in ~/.zshrc
  $ inferq completion fish | source          # in ~/.config/fish/config.fish`

const PREDICT_EXAMPLES = `
Examples:
  $ inferq predict "She saw him." "Her saw he."
  $ inferq predict --model sentiment --top-k 1 < lines.txt > answers.jsonl

Results are a table on a terminal; in a pipe, or with --json, one JSON object per text. Blank lines are skipped.`
