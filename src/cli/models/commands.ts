// `inferq models`: what is served, whether a folder can be, and how it gets to the workers. What they do is imported
// when it is asked for: ONNX Runtime and the tokenizers take longer to load than all the rest.
import { fileURLToPath } from 'node:url'
import { type Command, Option } from 'commander'
import type { Inferq } from '../../client/client.ts'
import type { Terminal } from '../terminal.ts'
import type { AddFlags } from './add.ts'
import type { ListFlags } from './list.ts'

export interface ModelCommands {
  client: () => Inferq
  terminal: Terminal
  /** Takes the exit code. */
  end: (code: number) => void
}

/** Those of the clone that this program lies in. */
const OWN_MODELS = fileURLToPath(new URL('../../../models', import.meta.url))
const OWN_CACHE = fileURLToPath(new URL('../../../.data/hub', import.meta.url))

export function addModelCommands(program: Command, { client, terminal, end }: ModelCommands): void {
  const models = program.command('models').description('Lists, checks and adds models.')

  withModelsDir(models.command('list'))
    .description('What the server serves; when it is away, what is in the models folder.')
    .option('--json', 'one JSON object a model')
    .action(async (flags: ListFlags) => {
      const { listModels } = await import('./list.ts')
      end(await listModels(client(), flags, terminal))
    })

  models
    .command('check')
    .argument('<folder>')
    .description(
      'Loads a model and tells everything that is wrong with it, how fast it is, and how stable its scores are.',
    )
    .action(async (folder: string) => {
      const { checkModel } = await import('./check.ts')
      end(await checkModel(folder, terminal))
    })

  models
    .command('quantize')
    .argument('<folder>', 'with onnx/model.onnx (fp32)')
    .description('Prints the commands that make a static int8 file of it.')
    .action(async (folder: string) => {
      const { explainQuantization } = await import('./quantize.ts')
      end(await explainQuantization(folder, terminal))
    })

  withModelsDir(models.command('add'))
    .argument('<model>', 'a folder, or owner/name[@revision] of the Hugging Face Hub')
    .description('Checks a model and puts it into the models folder.')
    .option('--name <name>', "under which it is served (default: the folder's, or the last part of the id)")
    .option('--force', 'replace a model of that name')
    .addOption(
      new Option('--hub <url>', 'the Hub, or a mirror of it').env('HF_ENDPOINT').default('https://huggingface.co'),
    )
    .addOption(new Option('--token <token>', 'for models that not everybody may read').env('HF_TOKEN'))
    .addOption(new Option('--cache <folder>', 'where downloads are kept').env('MODELS_CACHE').default(OWN_CACHE))
    .addHelpText('after', ADD_EXAMPLES)
    .action(async (model: string, flags: AddFlags) => {
      const { addModel } = await import('./add.ts')
      end(await addModel(model, flags, terminal))
    })
}

function withModelsDir(command: Command): Command {
  return command.addOption(
    new Option('--models-dir <folder>', 'where the models are').env('MODELS_DIR').default(OWN_MODELS),
  )
}

const ADD_EXAMPLES = `
Examples:
  $ inferq models add ~/my-classifier
  $ inferq models add Xenova/distilbert-base-uncased-finetuned-sst-2-english --name sst2`
