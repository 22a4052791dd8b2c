// `inferq models quantize`: prints the commands for static int8 quantization.
// ONNX Runtime quantizes only in Python, not in Node.
import { join, resolve } from 'node:path'
import { packagePath } from '../../package.ts'
import { CommandError, EXIT } from '../failure.ts'
import { print, type Terminal } from '../terminal.ts'
import { exists } from './folder.ts'

const ROOT = packagePath()

/** @throws CommandError when the folder has no fp32 model. */
export async function explainQuantization(folder: string, terminal: Terminal): Promise<number> {
  const dir = resolve(folder)
  if (!(await exists(dir))) throw new CommandError(`${folder}: no such folder`)
  const isFlat = !(await exists(join(dir, 'onnx/model.onnx'))) && (await exists(join(dir, 'model.onnx')))
  if (!isFlat && !(await exists(join(dir, 'onnx/model.onnx')))) {
    throw new CommandError(`${folder}/onnx/model.onnx is missing: the fp32 model to quantize. To export it:
  optimum-cli export onnx --model CHECKPOINT --task text-classification EXPORTED
  cp EXPORTED/* ${quoted(dir)}`)
  }
  const replaced = (await exists(join(dir, 'onnx/model_quantized.onnx')))
    ? '\n# This replaces onnx/model_quantized.onnx.'
    : ''
  const target = quoted(dir)
  const move = isFlat
    ? `mkdir -p ${quoted(join(dir, 'onnx'))} && mv ${quoted(join(dir, 'model.onnx'))}* ${quoted(join(dir, 'onnx'))}\n\n`
    : ''
  await print(
    terminal.stdout,
    `# Set-up, once, with Python 3.11:
cd ${quoted(resolve(ROOT))}
python3 -m venv .venv && .venv/bin/pip install -r models/training/requirements.txt

${move}# Calibration needs a few hundred texts like those to classify, one per line.${replaced}
.venv/bin/python models/training/quantize.py ${target} --lines TEXTS.txt

# The check shows whether a text's scores depend on its neighbors.
npx inferq models check ${target}
`,
  )
  return EXIT.ok
}

/** Quotes a path for a POSIX shell. */
function quoted(path: string): string {
  return /^[\w@%+=:,./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`
}
