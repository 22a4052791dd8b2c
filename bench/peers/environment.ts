// The virtual environment of the Python servers, in an ignored folder.
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const REQUIREMENTS = fileURLToPath(new URL('python/requirements.txt', import.meta.url))
const VENV = fileURLToPath(new URL('../../node_modules/.cache/inferq-peers', import.meta.url))

/**
 * Installs what is missing.
 * @returns the folder of its programs. @throws Error with pip's output, or when this machine has no Python.
 */
export function pythonPrograms(say: (line: string) => void): string {
  const bin = join(VENV, 'bin')
  const stamp = join(VENV, '.installed')
  const wanted = readFileSync(REQUIREMENTS, 'utf8')
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return bin
  say('peers: installing FastAPI, Celery and ONNX Runtime for Python')
  rmSync(VENV, { recursive: true, force: true })
  run('python3', ['-m', 'venv', VENV])
  run(join(bin, 'python'), ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '-r', REQUIREMENTS])
  writeFileSync(stamp, wanted)
  return bin
}

function run(command: string, args: string[]): void {
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${error?.message ?? ''}\n${stdout}\n${stderr}`)
}
