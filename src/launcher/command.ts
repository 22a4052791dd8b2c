// The words after `inferq serve` and `npm start --`: models and options, which become settings.
import { resolve } from 'node:path'
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander'
import type * as z from 'zod'
import { integer, port } from '../env.ts'
import { StartupError } from '../errors.ts'
import { describeSettings, MAX_WORKERS } from './settings.ts'

export interface Arguments {
  /** Folders, names of models and ids of the Hub. */
  models: string[]
  /** Settings of the options. */
  env: Record<string, string>
  /** Whether the page is opened in a browser. */
  open: boolean
}

/** How a user of the command sets what a message proposes. */
export interface Remedies {
  port: (port: number) => string
  dataDir: string
  privateRedis: string
}

export const remediesOf = (isServe: boolean): Remedies =>
  isServe
    ? {
        port: (free) => `inferq serve --port ${free}`,
        dataDir: 'inferq serve --data /PATH',
        privateRedis: 'leave out --redis and REDIS_URL: inferq then runs a private Redis',
      }
    : {
        port: (free) => `PORT=${free} npm start`,
        dataDir: 'DATA_DIR=/PATH npm start',
        privateRedis: 'unset REDIS_URL: npm start then runs a private Redis',
      }

/** Exit code of invalid arguments. */
const EXIT_USAGE = 2

/**
 * Reads the arguments. @param base the folder that relative paths start from.
 * @returns the exit code when that is all: help is printed, or the arguments are invalid, which is printed too.
 */
export function readArguments(args: string[], isServe: boolean, base: string): Arguments | number {
  let read: Arguments | undefined
  const command = new Command(isServe ? 'inferq serve' : 'npm start --')
    .usage('[models...] [options]')
    .argument('[models...]', 'models to serve, the first is the default one; without any, those of MODELS_DIR')
    .description('Starts a private Redis, the api and a worker on this machine, and serves models until Ctrl-C.')
    .addOption(option('-p, --port <port>', 'port of the api; 0: any free port (PORT)', port))
    .addOption(option('-w, --workers <number>', 'workers to start (WORKERS)', integer(0, MAX_WORKERS)))
    .option('-r, --redis <url>', 'use this Redis in place of a private one (REDIS_URL, which hides a password)')
    .option('-d, --data <folder>', 'folder of everything that is stored (DATA_DIR; default .data)')
    .option('-o, --open', 'open the page in the browser when everything is ready')
    .showSuggestionAfterError()
    .showHelpAfterError(`Help: ${isServe ? 'inferq serve' : 'npm start --'} --help`)
    .configureOutput({ outputError: (text, write) => write(text.replace(/^error: /, 'inferq: ')) })
    .addHelpText('after', () => details(isServe))
    .exitOverride()
    .action((models: string[], options: Options) => {
      read = { models, env: settingsOf(options, base), open: options.open === true }
    })
  try {
    command.parse(args, { from: 'user' })
    if (!read) throw new StartupError('the arguments were not read')
    return read
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    return error.exitCode === 0 ? 0 : EXIT_USAGE
  }
}

interface Options {
  port?: string
  workers?: string
  redis?: string
  data?: string
  open?: boolean
}

function settingsOf({ port: given, workers, redis, data }: Options, base: string): Record<string, string> {
  const settings = {
    PORT: given,
    WORKERS: workers,
    REDIS_URL: redis,
    DATA_DIR: data === undefined ? undefined : resolve(base, data),
  }
  return Object.fromEntries(
    Object.entries(settings).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  )
}

/** An option whose text has to satisfy the schema of its setting. */
function option(flags: string, description: string, schema: z.ZodType<number, string | undefined>): Option {
  return new Option(flags, description).argParser((text) => {
    const parsed = schema.safeParse(text)
    if (!parsed.success) throw new InvalidArgumentError(`It ${parsed.error.issues[0]?.message}.`)
    return text
  })
}

const details = (isServe: boolean) => `
A model is one of:
  ./my-classifier             a folder with config.json, tokenizer.json and an ONNX file, as
                              "optimum-cli export onnx" writes it
  owner/name[@revision]       a model of the Hugging Face Hub that has these files
  my-classifier               a folder of MODELS_DIR

Examples:
  $ ${isServe ? 'inferq serve' : 'npm start --'} ./my-classifier --open
  $ ${isServe ? 'inferq serve' : 'npm start --'} ./my-classifier ./another --port 8001
  $ ${isServe ? 'PORT=8001 WORKERS=2 inferq serve' : 'PORT=8001 WORKERS=2 npm start'}

Nothing listens on an address of the network unless HOST is set; a Redis of --redis is shared with
others as it is. Exit codes: 0 after Ctrl-C, 1 when the start cannot go on, 2 invalid arguments,
78 invalid settings.

Every setting is an environment variable:

${describeSettings()}`
