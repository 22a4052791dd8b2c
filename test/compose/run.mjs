// `npm run test:compose`: builds the image and tests compose.yaml in real containers.
// The last line is "N passed, N failed"; the exit code is 77 when this machine has no Docker.

import { spawn, spawnSync } from 'node:child_process'
import { createServer } from 'node:net'
import { dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { operateProxied, trialContainer } from './operate.mjs'

const CANNOT_RUN = 77
const MAX_IMAGE_MB = 450
/** What no container may do: write outside of its data, become root, or change what it sees. */
const FORBIDDEN = [
  'touch /written',
  'touch /etc/written',
  'touch "$PWD/models/written"',
  'touch /app/dist/api/main.js',
  'chown 0 /tmp',
  'su root -c true </dev/null',
  'mount -t tmpfs none /mnt',
  'chroot / true',
]

process.chdir(join(dirname(fileURLToPath(import.meta.url)), '..', '..'))
const compose = findCompose()
const port = await freePort()
const base = `http://127.0.0.1:${port}`
// A separate project and port, so that a running inferq on this machine is not affected.
const env = { ...process.env, INFERQ_PORT: String(port), COMPOSE_PROJECT_NAME: 'inferq-test' }
const count = { passed: 0, failed: 0 }

process.once('SIGINT', () => takeDown(130))
process.once('SIGTERM', () => takeDown(143))

const harness = { check, compose, env, freePort, must, output, run, spawnWith, waitFor }

try {
  await everything()
} catch (error) {
  console.error(error)
  count.failed += 1
}
takeDown(count.failed > 0 ? 1 : 0)

async function everything() {
  if (!(await check('the image builds', () => run([...compose, 'build'])))) return
  await check(`the layers on top of the base image stay under ${MAX_IMAGE_MB} MB`, imageIsSmall)
  if (!(await check('all services become healthy', comesUp))) return
  await check('the api prints the address to open', () =>
    waitFor('the line', 30, () => output([...compose, 'logs', 'api']).includes(`ready: http://localhost:${port}`)),
  )
  await check('a prediction is answered', async () => {
    const { scores } = await predict()
    must(scores.length === 2 && scores[0].label === 'acceptable', `unexpected answer: ${JSON.stringify(scores)}`)
  })
  await check('the worker scales to three containers', async () => {
    run([...compose, 'up', '-d', '--no-build', '--scale', 'worker=3'])
    await waitFor('three live workers in /info', 120, async () => (await liveWorkers()).length === 3)
    await waitFor('healthy workers', 60, () => containers('worker').every(isHealthy))
  })
  console.log(output([...compose, 'ps']))
  await check('all three workers answer', async () => {
    const seen = new Set()
    await waitFor('an answer of each worker', 60, async () => {
      for (const { worker } of await Promise.all(Array.from({ length: 24 }, () => predict()))) seen.add(worker)
      return seen.size === 3
    })
    console.log(`    answered: ${[...seen].join(', ')}`)
  })
  await check('the shipped models are served, each by several workers', shippedModels)
  await check('a file is processed as a batch', batchOfAFile)
  await check('containers have no privileges, and can write only to their data', hasNoRights)
  await check('the image has the license and the notices', () => {
    for (const file of ['LICENSE', 'NOTICE', 'sbom.cdx.json'])
      run(['docker', 'exec', containers('api')[0], 'test', '-s', `/app/${file}`])
  })
  await check('workers can write to the Hub cache', () => {
    for (const id of containers('worker')) run(['docker', 'exec', id, 'sh', '-c', 'touch /cache/x && rm /cache/x'])
  })
  await check('Redis requires its password', () => {
    const anonymous = output(['docker', 'exec', '-e', 'REDISCLI_AUTH=', containers('redis')[0], 'redis-cli', 'ping'])
    must(anonymous.includes('NOAUTH'), `it answered: ${anonymous}`)
  })
  await check('with one worker killed, every call is still answered', async () => {
    const [victim] = containers('worker')
    const calls = Array.from({ length: 40 }, async (_, index) => {
      await delay(index * 50)
      return predict()
    })
    await delay(300)
    run(['docker', 'kill', victim])
    await Promise.all(calls)
    await waitFor('two live workers in /info', 60, async () => (await liveWorkers()).length === 2)
    await predict()
  })
  await check('the example with a model of its own answers', exampleWithOwnModel)
  await check('a restart of Redis loses no finished prediction', redisKeepsPredictions)
  await check('a stop ends every process with exit code 0', stopsInOrder)
  run([...compose, 'down', '-v', '--remove-orphans'])
  await trialContainer(harness)
  await operateProxied(harness)
}

async function comesUp() {
  run([...compose, 'up', '-d', '--no-build'])
  await waitFor('healthy containers', 180, () => {
    const all = ['redis', 'api', 'worker'].flatMap(containers)
    return all.length === 3 && all.every(isHealthy)
  })
}

async function shippedModels() {
  for (const [model, text] of [
    ['cola', 'The boy is sitting on a bench'],
    ['sentiment', 'a moving and funny film'],
    ['sentiment-small', 'a moving and funny film'],
  ]) {
    const seen = new Set()
    await waitFor(`answers of ${model} by two workers`, 60, async () => {
      const answers = await Promise.all(Array.from({ length: 16 }, () => predict(text, model)))
      for (const { worker } of answers) seen.add(worker)
      return seen.size > 1
    })
    const { scores } = await predict(text, model)
    console.log(`    ${model}: ${JSON.stringify(scores)}, by ${seen.size} workers`)
  }
}

async function batchOfAFile() {
  const lines = Array.from({ length: 200 }, (_, row) => ({
    custom_id: `row-${row}`,
    method: 'POST',
    url: '/predict',
    body: { inputs: `Sentence number ${row} is here.`, model: row % 2 ? 'cola' : 'sentiment-small' },
  }))
  const form = new FormData()
  form.set('purpose', 'batch')
  form.set('file', new Blob([lines.map((line) => `${JSON.stringify(line)}\n`).join('')]), 'lines.jsonl')
  const { id: file } = await call('/v1/files', { method: 'POST', body: form })
  const { id } = await call('/v1/batches', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ input_file_id: file, endpoint: '/predict', completion_window: '24h' }),
  })
  let batch
  await waitFor('the end of the batch', 60, async () => {
    batch = await call(`/v1/batches/${id}`)
    return batch.status === 'completed'
  })
  const output = await (await fetch(`${base}/v1/files/${batch.output_file_id}/content`)).text()
  const ids = output
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line).custom_id)
  must(ids.join() === lines.map((line) => line.custom_id).join(), `${ids.length} rows returned, or in another order`)
}

async function call(path, options) {
  const answer = await fetch(`${base}${path}`, options)
  must(answer.ok, `${path} answered ${answer.status}`)
  return answer.json()
}

function isHealthy(id) {
  return inspect(id).State.Health.Status === 'healthy'
}

function imageIsSmall() {
  const megabytes = Math.round(
    Number(output(['docker', 'run', '--rm', 'inferq', 'du', '-sk', '/app']).split('\t')[0]) / 1024,
  )
  console.log(`    ${megabytes} MB`)
  must(megabytes < MAX_IMAGE_MB, `${megabytes} MB`)
}

function hasNoRights() {
  for (const id of ['redis', 'api', 'worker'].flatMap(containers)) {
    const { Name, HostConfig } = inspect(id)
    must(HostConfig.ReadonlyRootfs, `${Name}: its file system can be written`)
    must(HostConfig.CapDrop?.includes('ALL'), `${Name}: has capabilities`)
    must(
      HostConfig.SecurityOpt?.some((option) => option.startsWith('no-new-privileges')),
      `${Name}: may gain rights`,
    )
    must(HostConfig.Memory > 0, `${Name}: has no memory limit`)
    must(output(['docker', 'exec', id, 'id', '-u']).trim() !== '0', `${Name}: runs as root`)
    const processStatus = output(['docker', 'exec', id, 'cat', '/proc/self/status'])
    must(/^CapEff:\s+0+$/m.test(processStatus), `${Name}: has capabilities`)
    must(/^NoNewPrivs:\s+1$/m.test(processStatus), `${Name}: may gain rights`)
    for (const attempt of FORBIDDEN) {
      const { status } = spawnSync('docker', ['exec', id, 'sh', '-c', attempt])
      must(status !== 0, `${Name}: is allowed to: ${attempt}`)
    }
  }
  const published = inspect(containers('api')[0]).NetworkSettings.Ports['8000/tcp']
  must(
    published.every(({ HostIp }) => HostIp === '127.0.0.1'),
    'the api is published beyond this machine',
  )
}

async function redisKeepsPredictions() {
  const created = await fetch(`${base}/v1/predictions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', prefer: 'wait=30' },
    body: JSON.stringify({ input: { text: 'The boy is sitting on a bench' } }),
  })
  const { id, status } = await created.json()
  must(status === 'succeeded', `the prediction is ${status}`)
  run(['docker', 'restart', containers('redis')[0]])
  await waitFor('the prediction, after the restart', 60, async () => {
    const answer = await fetch(`${base}/v1/predictions/${id}`)
    return answer.ok && (await answer.json()).status === 'succeeded'
  })
}

async function exampleWithOwnModel() {
  const folder = join(process.cwd(), 'models/sentiment-small')
  const free = await freePort()
  const own = { ...env, COMPOSE_PROJECT_NAME: 'inferq-example', INFERQ_PORT: String(free), MODEL: folder }
  const example = [...compose, '-f', 'examples/compose.yaml']
  try {
    run([...example, 'up', '-d'], own)
    await waitFor('an answer', 120, async () => {
      const answer = await fetch(`http://127.0.0.1:${free}/predict?text=a%20moving%20and%20funny%20film`)
      return answer.ok && (await answer.json())[0].label === 'positive'
    })
  } finally {
    run([...example, 'down', '-v', '-t', '10'], own)
  }
}

function stopsInOrder() {
  const ids = ['api', 'worker'].flatMap(containers).filter((id) => inspect(id).State.Running)
  const began = Date.now()
  run([...compose, 'stop'])
  console.log(`    after ${((Date.now() - began) / 1_000).toFixed(1)} s`)
  for (const id of ids) {
    const { Name, State } = inspect(id)
    must(State.ExitCode === 0, `${Name} ended with ${State.ExitCode}`)
  }
}

/** Calls /predict; fails unless it is answered. */
async function predict(text = 'The boy is sitting on a bench', model = 'cola') {
  const answer = await fetch(`${base}/predict?${new URLSearchParams({ text, model })}`)
  must(answer.ok, `/predict answered ${answer.status}: ${answer.ok ? '' : await answer.text()}`)
  return { scores: await answer.json(), worker: answer.headers.get('x-worker') }
}

async function liveWorkers() {
  const { workers } = await (await fetch(`${base}/info`)).json()
  return workers.filter(({ state }) => state === 'running')
}

/** All containers of a service, including stopped ones. */
function containers(service) {
  return output([...compose, 'ps', '-q', ...(compose.length === 2 ? ['-a'] : []), service])
    .split('\n')
    .filter(Boolean)
}

function inspect(id) {
  return JSON.parse(output(['docker', 'inspect', id]))[0]
}

async function check(what, task) {
  const began = Date.now()
  try {
    await task()
    count.passed += 1
    console.log(`ok      ${what} (${((Date.now() - began) / 1_000).toFixed(1)} s)`)
    return true
  } catch (error) {
    count.failed += 1
    console.log(`FAILED  ${what}: ${error.message}`)
    console.log(output([...compose, 'ps']))
    console.log(output([...compose, 'logs', '--no-color', '--tail=40']))
    return false
  }
}

async function waitFor(what, seconds, fact) {
  const deadline = Date.now() + seconds * 1_000
  for (;;) {
    const cause = await Promise.resolve()
      .then(fact)
      .then(
        (holds) => (holds ? 'yes' : 'no'),
        (error) => error.message,
      )
    if (cause === 'yes') return
    if (Date.now() > deadline) throw new Error(`timed out after ${seconds} s waiting for ${what} (${cause})`)
    await delay(250)
  }
}

function must(fact, otherwise) {
  if (!fact) throw new Error(otherwise)
}

/** Runs a command; prints its output only when it fails. */
function run([command, ...args], environment = env) {
  const done = spawnSync(command, args, {
    env: environment,
    encoding: 'utf8',
    maxBuffer: 1e8,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  if (done.status === 0) return
  console.log(`${done.stdout}${done.stderr}`.split('\n').slice(-40).join('\n'))
  throw new Error(`"${[command, ...args].join(' ')}" ended with ${done.status ?? done.error?.message}`)
}

/** Resolves with the exit code and the output of a command that runs while other calls go on. */
function spawnWith([command, ...args], settings) {
  const child = spawn(command, args, { env: { ...env, ...settings }, stdio: ['ignore', 'pipe', 'pipe'] })
  const chunks = []
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => chunks.push(chunk))
  return new Promise((resolve) =>
    child.on('close', (status) => resolve({ status, text: Buffer.concat(chunks).toString() })),
  )
}

function output([command, ...args]) {
  const done = spawnSync(command, args, { env, encoding: 'utf8', maxBuffer: 1e8, stdio: ['ignore', 'pipe', 'pipe'] })
  return done.status === 0 ? done.stdout : `${done.stdout}${done.stderr}`
}

function takeDown(code) {
  spawnSync(compose[0], [...compose.slice(1), 'down', '-v', '--remove-orphans', '-t', '10'], { env, stdio: 'ignore' })
  console.log(`${count.passed} passed, ${count.failed} failed`)
  process.exit(code)
}

/** `docker compose` or the older `docker-compose`; exits when neither exists, or without a daemon. */
function findCompose() {
  const works = (command, ...args) => spawnSync(command, args, { stdio: 'ignore' }).status === 0
  const found = works('docker', 'compose', 'version')
    ? ['docker', 'compose']
    : works('docker-compose', 'version') && ['docker-compose']
  if (found && works('docker', 'info')) return found
  console.log('The compose test cannot run: it needs a Docker daemon and `docker compose` or `docker-compose`.')
  process.exit(CANNOT_RUN)
}

function freePort() {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port: free } = server.address()
      server.close(() => resolve(free))
    })
  })
}
