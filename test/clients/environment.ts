// What the clients need: a virtual environment of Python, and generators of clients, in an ignored folder.
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url))
const CACHE = here('../../node_modules/.cache/inferq-clients')
const REQUIREMENTS = here('python/requirements.txt')
const VENV = join(CACHE, 'venv')
const NODE = join(CACHE, 'node')
/** TypeScript 5, because openapi-typescript needs the compiler's API, which newer versions do not have. */
const NODE_PACKAGES = {
  'openapi-typescript': '7.13.0',
  'openapi-fetch': '0.17.0',
  typescript: '5.9.3',
  '@types/node': '22.20.5',
}
/** Content types that the generator does not know. */
const GENERATOR_CONFIG = `package_name_override: inferq_client
project_name_override: inferq-client
content_type_overrides:
  application/x-ndjson: application/octet-stream
`

/** The Python of the virtual environment, with all clients; undefined when this machine has no Python. */
export function pythonWithClients(): string | undefined {
  const python = join(VENV, 'bin/python')
  if (isInstalled(VENV, readFileSync(REQUIREMENTS, 'utf8'))) return python
  if (spawnSync('python3', ['-c', 'import venv, ensurepip']).status !== 0) return undefined
  rmSync(VENV, { recursive: true, force: true })
  run('python3', ['-m', 'venv', VENV])
  run(python, ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '-r', REQUIREMENTS])
  markInstalled(VENV, readFileSync(REQUIREMENTS, 'utf8'))
  return python
}

/** Generates a Python client from the document. @returns the folder of its package. */
export function generatePythonClient(python: string, document: string): string {
  const folder = join(CACHE, 'python-client')
  const config = join(CACHE, 'openapi-python-client.yml')
  rmSync(folder, { recursive: true, force: true })
  writeFileSync(config, GENERATOR_CONFIG)
  const file = join(CACHE, 'openapi.json')
  writeFileSync(file, document)
  // It formats with the ruff of its environment.
  const env = { ...process.env, PATH: `${join(VENV, 'bin')}:${process.env['PATH']}` }
  const args = ['-m', 'openapi_python_client', 'generate', '--path', file, '--config', config, '--output-path', folder]
  const output = run(python, [...args, '--fail-on-warning'], env)
  if (/warning/i.test(output)) throw new Error(output)
  return folder
}

/** Generates TypeScript types, and checks the client that uses them. @returns the file to run, and the names of the tools. */
export function generateTypeScriptClient(document: string): { file: string; title: string } {
  const packages = JSON.stringify({ private: true, type: 'module', dependencies: NODE_PACKAGES })
  mkdirSync(NODE, { recursive: true })
  if (!isInstalled(NODE, packages)) {
    writeFileSync(join(NODE, 'package.json'), packages)
    run('npm', ['install', '--prefix', NODE, '--no-audit', '--no-fund', '--silent', '--ignore-scripts'])
    markInstalled(NODE, packages)
  }
  writeFileSync(join(NODE, 'openapi.json'), document)
  cpSync(here('node/generated-client.mjs'), join(NODE, 'client.mjs'))
  const bin = (name: string) => join(NODE, 'node_modules/.bin', name)
  run(bin('openapi-typescript'), [join(NODE, 'openapi.json'), '--output', join(NODE, 'types.ts')])
  const options = ['--noEmit', '--strict', '--checkJs', '--skipLibCheck', '--module', 'nodenext', '--target', 'es2022']
  run(bin('tsc'), [
    ...options,
    '--typeRoots',
    join(NODE, 'node_modules/@types'),
    '--types',
    'node',
    join(NODE, 'client.mjs'),
  ])
  const { 'openapi-typescript': types, 'openapi-fetch': client } = NODE_PACKAGES
  return { file: join(NODE, 'client.mjs'), title: `openapi-typescript ${types}, openapi-fetch ${client}` }
}

function isInstalled(folder: string, wanted: string): boolean {
  const stamp = join(folder, '.installed')
  return existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted
}

function markInstalled(folder: string, wanted: string): void {
  writeFileSync(join(folder, '.installed'), wanted)
}

/** @throws Error with the output of a command that fails. */
function run(command: string, args: string[], env: NodeJS.ProcessEnv = process.env): string {
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: 'utf8', env })
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${error?.message ?? ''}\n${stdout}\n${stderr}`)
  return stdout + stderr
}
