// `inferq models`: its subcommands and options.
// Each implementation is imported on use, because ONNX Runtime and the tokenizers load slowly.
import { type Command, Option } from 'commander'
import type { Inferq } from '../../client/client.ts'
import { defaultModelsDirs, isClone, packagePath } from '../../package.ts'
import type { Terminal } from '../terminal.ts'
import type { AddFlags } from './add.ts'
import type { ListFlags } from './list.ts'

export interface ModelCommands {
  client: () => Promise<Inferq>
  terminal: Terminal
  setExitCode: (code: number) => void
}

/** Downloads; the working directory is the place of an installed package's data. */
const OWN_CACHE = isClone ? packagePath('.data', 'hub') : '.data/hub'

export function addModelCommands(program: Command, { client, terminal, setExitCode }: ModelCommands): void {
  const models = program.command('models').description('Lists, checks and adds models.')

  withModelsDir(models.command('list'))
    .description('Lists the models of the server; without a server, those of the models folder.')
    .option('--json', 'one JSON object per model')
    .action(async (flags: ListFlags) => {
      const { listModels } = await import('./list.ts')
      setExitCode(await listModels(await client(), flags, terminal))
    })

  models
    .command('check')
    .argument('<folder>')
    .description('Loads a model and prints all of its problems, or its speed and the stability of its scores.')
    .option('--json', 'one JSON object')
    .action(async (folder: string, { json = false }: { json?: boolean }) => {
      const { checkModel } = await import('./check.ts')
      setExitCode(await checkModel(folder, json, terminal))
    })

  models
    .command('quantize')
    .argument('<folder>', 'with onnx/model.onnx or model.onnx (fp32)')
    .description('Prints the commands that quantize it statically to int8.')
    .action(async (folder: string) => {
      const { explainQuantization } = await import('./quantize.ts')
      setExitCode(await explainQuantization(folder, terminal))
    })

  withModelsDir(models.command('add'))
    .argument('<model>', 'a folder, or owner/name[@revision] of the Hugging Face Hub')
    .description('Checks a model and copies it into the models folder.')
    .option('--name <name>', "name to serve it under (default: the folder's, or the last part of the id)")
    .option('--force', 'replace a model of the same name')
    .addOption(
      new Option('--hub <url>', 'URL of the Hub, or of a mirror').env('HF_ENDPOINT').default('https://huggingface.co'),
    )
    .addOption(new Option('--token <token>', 'access token for private and gated models').env('HF_TOKEN'))
    .addOption(new Option('--cache <folder>', 'folder for downloads').env('MODELS_CACHE').default(OWN_CACHE))
    .addHelpText('after', ADD_EXAMPLES)
    .action(async (model: string, flags: AddFlags) => {
      const { addModel } = await import('./add.ts')
      setExitCode(await addModel(model, flags, terminal))
    })
}

function withModelsDir(command: Command): Command {
  return command.addOption(
    new Option('--models-dir <folders>', 'folders of models, separated by commas; models are added to the first')
      .env('MODELS_DIR')
      .default(defaultModelsDirs().join()),
  )
}

const ADD_EXAMPLES = `
Examples:
  $ inferq models add ~/my-classifier
  $ inferq models add Xenova/distilbert-base-uncased-finetuned-sst-2-english --name sst2`
