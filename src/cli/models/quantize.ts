// `inferq models quantize`: the commands that make a static int8 file. Node cannot quantise; ONNX Runtime's Python can.
import { stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { EXIT, CommandError } from '../failure.ts'
import { print, type Terminal } from '../terminal.ts'

const ROOT = fileURLToPath(new URL('../../../', import.meta.url))

/** @throws Failure when there is no fp32 model to start from. */
export async function explainQuantization(folder: string, terminal: Terminal): Promise<number> {
  const dir = resolve(folder)
  if (!(await exists(dir))) throw new CommandError(`${folder}: there is no such folder`)
  if (!(await exists(join(dir, 'onnx/model.onnx')))) {
    throw new CommandError(`${folder}/onnx/model.onnx is missing: the fp32 model that is quantised. Where it comes from:
  optimum-cli export onnx --model CHECKPOINT --task text-classification EXPORTED
  cp EXPORTED/model.onnx ${quoted(join(dir, 'onnx/'))}`)
  }
  const replaced = (await exists(join(dir, 'onnx/model_quantized.onnx')))
    ? '\n# This replaces onnx/model_quantized.onnx.'
    : ''
  const target = quoted(dir)
  await print(
    terminal.stdout,
    `# Python 3.11, once:
cd ${quoted(resolve(ROOT))}
python3 -m venv .venv && .venv/bin/pip install -r models/training/requirements.txt

# Ranges are calibrated on texts like those that will be classified: a few hundred, one a line.${replaced}
.venv/bin/python models/training/quantize.py ${target} --lines TEXTS.txt

# A text's scores must not depend on its neighbours.
npx inferq models check ${target}
`,
  )
  return EXIT.ok
}

/** For a POSIX shell. */
function quoted(path: string): string {
  return /^[\w@%+=:,./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}
