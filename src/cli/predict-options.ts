// Options that `predict` and `batch` share.
import { type Command, InvalidArgumentError, Option } from 'commander'
import type { PredictOptions } from '../client/types.ts'

export function withPredictOptions(command: Command): Command {
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
export function withExplicitTruncate<Flags extends PredictOptions>(flags: Flags): Flags {
  return { ...flags, truncate: flags.truncate === false ? false : undefined }
}

export function positiveInteger(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError('It must be a whole number of at least 1.')
  return Number(text)
}
