// The documented commands of operation, in real containers: the image alone, a proxy before two apis, upgrade, rollback,
// backup and restore.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

const TRIAL = 'inferq-test-trial'
const PROXY_IMAGE = 'haproxy:3.2-bookworm'

/** `docker run -p PORT:8000 inferq`: everything in one container. */
export async function trialContainer({ check, run, output, waitFor, must, freePort }) {
  const port = await freePort()
  run(['docker', 'run', '-d', '--name', TRIAL, '-p', `127.0.0.1:${port}:8000`, 'inferq'])
  try {
    await check('the image alone serves a model, and says that it is for trials', async () => {
      await waitFor('an answer', 120, async () => {
        const answer = await fetch(`http://127.0.0.1:${port}/predict?text=The+boy+is+sitting+on+a+bench`)
        return answer.ok && (await answer.json())[0].label === 'acceptable'
      })
      must(output(['docker', 'logs', TRIAL]).includes('it is for trials'), 'it does not say so')
      run(['docker', 'stop', '--time', '30', TRIAL])
      const code = output(['docker', 'inspect', '--format', '{{.State.ExitCode}}', TRIAL]).trim()
      must(code === '0', `it ended with ${code}`)
    })
  } finally {
    output(['docker', 'rm', '-f', '-v', TRIAL])
  }
}

/** Two apis behind compose/proxy.yaml, upgraded and restored. */
export async function operateProxied(harness) {
  const { check, env, compose, run, output, waitFor, must, freePort } = harness
  const port = await freePort()
  const base = `http://127.0.0.1:${port}`
  Object.assign(env, {
    COMPOSE_PROJECT_NAME: 'inferq-test-proxy',
    COMPOSE_FILE: 'compose.yaml:compose/proxy.yaml',
    INFERQ_PORT: '',
    PROXY_PORT: String(port),
    HAPROXY_IMAGE: proxyImage(harness),
    MODELS: 'sentiment-small',
    DEFAULT_MODEL: 'sentiment-small',
    INFERENCE_PROCESSES: '1',
  })
  const backup = mkdtempSync(join(tmpdir(), 'inferq-backup-'))
  const idsOf = (service) =>
    output([...compose, 'ps', '-q', service])
      .split('\n')
      .filter(Boolean)
  try {
    await check('two apis are behind one proxy', async () => {
      run([...compose, 'up', '-d', '--no-build', '--scale', 'api=2', '--scale', 'worker=2'])
      await waitFor('an answer', 120, async () => (await fetch(`${base}/predict?text=a+fine+film`)).ok)
      must(idsOf('api').length === 2, `${idsOf('api').length} apis run`)
    })
    await check('an upgrade and a rollback lose no call', async () => {
      run(['docker', 'tag', 'inferq', 'inferq:test-before'])
      const before = [...idsOf('worker'), ...idsOf('api')]
      const load = callUntilStopped(`${base}/predict?text=a+fine+film`)
      await runBesides(harness, ['sh', 'compose/upgrade.sh'], {})
      await runBesides(harness, ['sh', 'compose/upgrade.sh'], { INFERQ_IMAGE: 'inferq:test-before' })
      const { answered, failed } = await load.stop()
      console.log(`    ${answered} calls answered, failed: ${JSON.stringify(failed)}`)
      must(answered > 0 && Object.keys(failed).length === 0, `calls failed: ${JSON.stringify(failed)}`)
      const after = [...idsOf('worker'), ...idsOf('api')]
      must(after.length === 4 && !after.some((id) => before.includes(id)), 'not all containers were replaced')
      const images = new Set(
        after.map((id) => output(['docker', 'inspect', '--format', '{{.Config.Image}}', id]).trim()),
      )
      must([...images].join() === 'inferq:test-before', `they run ${[...images].join()}`)
    })
    await check('an upgrade to an image that does not start changes nothing', async () => {
      const before = new Set(idsOf('api'))
      const settings = { UPGRADE_TIMEOUT: '10', INFERQ_IMAGE: proxyImage(harness) }
      const failed = await runBesides(harness, ['sh', 'compose/upgrade.sh', 'api'], settings).then(
        () => false,
        () => true,
      )
      must(failed, 'the upgrade did not fail')
      must(
        idsOf('api').every((id) => before.has(id)),
        'other apis run',
      )
      must((await fetch(`${base}/predict?text=a+fine+film`)).ok, 'no answer')
    })
    await check('a backup restores deleted files and predictions', () => backUpAndRestore(harness, base, backup))
  } finally {
    output([...compose, 'down', '-v', '--remove-orphans', '-t', '10'])
    output(['docker', 'rmi', 'inferq:test-before'])
    rmSync(backup, { recursive: true, force: true })
  }
}

async function backUpAndRestore({ run, waitFor, must }, base, folder) {
  const created = await fetch(`${base}/v1/predictions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', prefer: 'wait=30' },
    body: JSON.stringify({ input: { text: 'a fine film' } }),
  })
  const { id } = await created.json()
  const form = new FormData()
  form.set('purpose', 'batch')
  form.set('file', new Blob(['{"custom_id":"kept"}\n']), 'lines.jsonl')
  const { id: file } = await (await fetch(`${base}/v1/files`, { method: 'POST', body: form })).json()
  run(['sh', 'compose/backup.sh', folder])
  for (const path of [`/v1/predictions/${id}`, `/v1/files/${file}`]) {
    await fetch(`${base}${path}`, { method: 'DELETE' })
    must((await fetch(`${base}${path}`)).status === 404, `${path} is not deleted`)
  }
  run(['sh', 'compose/restore.sh', folder])
  await waitFor('the prediction', 120, async () => {
    const answer = await fetch(`${base}/v1/predictions/${id}`)
    return answer.ok && (await answer.json()).status === 'succeeded'
  })
  const content = await (await fetch(`${base}/v1/files/${file}/content`)).text()
  must(content.includes('kept'), `the file has: ${content}`)
}

/** HAProxy's image, or where no registry answers one of Debian's package on the base of inferq's. */
function proxyImage({ output, env }) {
  if (env.HAPROXY_IMAGE) return env.HAPROXY_IMAGE
  const has = (name) => output(['docker', 'images', '-q', name]).trim() !== ''
  if (has(PROXY_IMAGE)) return PROXY_IMAGE
  const own = 'inferq-test-haproxy'
  if (has(own)) return own
  output(['docker', 'pull', '-q', PROXY_IMAGE])
  if (has(PROXY_IMAGE)) return PROXY_IMAGE
  const folder = mkdtempSync(join(tmpdir(), 'inferq-haproxy-'))
  const install = 'apt-get update -qq && apt-get install -y -qq --no-install-recommends haproxy'
  writeFileSync(join(folder, 'Dockerfile'), `FROM node:24-bookworm-slim\nRUN ${install}\n`)
  output(['docker', 'build', '-q', '-t', own, folder])
  rmSync(folder, { recursive: true })
  return own
}

/** Four callers, until the test stops them. */
function callUntilStopped(url) {
  let stopped = false
  let answered = 0
  const failed = {}
  const fail = (how) => (failed[how] = (failed[how] ?? 0) + 1)
  const call = async () => {
    while (!stopped) {
      try {
        const answer = await fetch(url)
        const body = await answer.text()
        if (answer.ok) answered += 1
        // An overloaded machine; Redis is not replaced.
        else if (body.includes('(Redis) cannot be reached')) console.log(`    ${body.trim()}`)
        else fail(`${answer.status} ${body.slice(0, 200)}`)
      } catch (error) {
        fail(error.cause?.code ?? error.message)
      }
      await delay(100)
    }
  }
  const calls = Promise.all(Array.from({ length: 4 }, call))
  const stop = async () => {
    stopped = true
    await calls
    return { answered, failed }
  }
  return { stop }
}

/** Runs a command while the calls of this process go on. */
async function runBesides({ spawnWith }, command, settings) {
  const { status, text } = await spawnWith(command, settings)
  if (status === 0) return
  throw new Error(`"${command.join(' ')}" ended with ${status}: ${text.slice(-2_000)}`)
}
