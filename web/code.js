// A call as curl, JavaScript and Python. The key itself is never part of it.

/** @typedef {{curl: string, javascript: string, python: string}} Code */

/**
 * A call with JSON or without a body.
 * @param {string} url
 * @param {{body?: unknown, withKey: boolean}} options
 * @returns {Code}
 */
export function codeOfCall(url, { body, withKey }) {
  const json = body === undefined ? undefined : JSON.stringify(body)
  return {
    curl: [
      `curl ${quoted(url)}`,
      ...(withKey ? ['  -H "Authorization: Bearer $INFERQ_KEY"'] : []),
      ...(json === undefined ? [] : ["  -H 'Content-Type: application/json'", `  -d ${quoted(json)}`]),
    ].join(' \\\n'),
    javascript: javascriptOf(url, body, withKey),
    python: pythonOf(url, body, withKey),
  }
}

/**
 * A batch from a file of requests, by curl and by OpenAI's clients.
 * @param {string} base of the server, without a trailing slash
 * @param {{file: string, model: string, withKey: boolean}} options
 * @returns {Code}
 */
export function codeOfBatch(base, { file, model, withKey }) {
  const endpoint = `/models/${model}`
  const header = withKey ? ' -H "Authorization: Bearer $INFERQ_KEY"' : ''
  const create = JSON.stringify({ input_file_id: 'FILE_ID', endpoint, completion_window: '24h' })
  return {
    curl: [
      `# Each line of ${file}: {"custom_id": "1", "body": {"inputs": "a text"}}`,
      `curl ${quoted(`${base}/v1/files`)}${header} -F purpose=batch -F ${quoted(`file=@${file}`)}`,
      '',
      '# With the id of that file:',
      `curl ${quoted(`${base}/v1/batches`)}${header} -H 'Content-Type: application/json' \\\n  -d ${quoted(create)}`,
      '',
      '# With the id of that batch, rows as they are computed:',
      `curl -N ${quoted(`${base}/v1/batches/BATCH_ID/results?follow=1`)}${header}`,
    ].join('\n'),
    javascript: [
      "import { createReadStream } from 'node:fs'",
      "import OpenAI from 'openai'",
      '',
      `const client = new OpenAI({ baseURL: ${JSON.stringify(`${base}/v1`)}, apiKey: ${keyIn('javascript', withKey)} })`,
      `const file = await client.files.create({ purpose: 'batch', file: createReadStream(${JSON.stringify(file)}) })`,
      'const batch = await client.batches.create({',
      `  input_file_id: file.id, endpoint: ${JSON.stringify(endpoint)}, completion_window: '24h',`,
      '})',
      'console.log(batch.id)',
    ].join('\n'),
    python: [
      ...(withKey ? ['import os'] : []),
      'from openai import OpenAI',
      '',
      `client = OpenAI(base_url=${JSON.stringify(`${base}/v1`)}, api_key=${keyIn('python', withKey)})`,
      `file = client.files.create(purpose="batch", file=open(${JSON.stringify(file)}, "rb"))`,
      'batch = client.batches.create(',
      `    input_file_id=file.id, endpoint=${JSON.stringify(endpoint)}, completion_window="24h"`,
      ')',
      'print(batch.id)',
    ].join('\n'),
  }
}

/** @param {'javascript' | 'python'} language @param {boolean} withKey */
function keyIn(language, withKey) {
  if (!withKey) return language === 'python' ? '"unused"' : "'unused'"
  return language === 'python' ? 'os.environ["INFERQ_KEY"]' : 'process.env.INFERQ_KEY'
}

/** @param {string} url @param {unknown} body @param {boolean} withKey */
function javascriptOf(url, body, withKey) {
  const headers = [
    ...(body === undefined ? [] : ["'Content-Type': 'application/json'"]),
    ...(withKey ? ['Authorization: `Bearer ${process.env.INFERQ_KEY}`'] : []),
  ]
  const options = [
    ...(body === undefined ? [] : ["  method: 'POST',"]),
    ...(headers.length === 0 ? [] : [`  headers: { ${headers.join(', ')} },`]),
    ...(body === undefined ? [] : [`  body: JSON.stringify(${JSON.stringify(body)}),`]),
  ]
  const rest = options.length === 0 ? '' : `, {\n${options.join('\n')}\n}`
  return `const response = await fetch(${JSON.stringify(url)}${rest})\nconsole.log(await response.json())`
}

/** @param {string} url @param {unknown} body @param {boolean} withKey */
function pythonOf(url, body, withKey) {
  const lines = [
    `    ${JSON.stringify(url)},`,
    ...(body === undefined ? [] : [`    json=${pythonLiteral(body)},`]),
    ...(withKey ? ['    headers={"Authorization": f"Bearer {os.environ[\'INFERQ_KEY\']}"},'] : []),
  ]
  const imports = [...(withKey ? ['import os'] : []), 'import requests']
  const verb = body === undefined ? 'get' : 'post'
  return [
    ...imports,
    '',
    `response = requests.${verb}(`,
    ...lines,
    ')',
    'response.raise_for_status()',
    'print(response.json())',
  ].join('\n')
}

/** @param {unknown} value of JSON. @returns {string} */
function pythonLiteral(value) {
  if (value === null) return 'None'
  if (typeof value === 'boolean') return value ? 'True' : 'False'
  if (Array.isArray(value)) return `[${value.map(pythonLiteral).join(', ')}]`
  if (typeof value === 'object') {
    const entries = Object.entries(value).map(([name, each]) => `${JSON.stringify(name)}: ${pythonLiteral(each)}`)
    return `{${entries.join(', ')}}`
  }
  // The escapes of strings in JSON are valid in Python.
  return JSON.stringify(value)
}

/** As one word of a shell. @param {string} text */
function quoted(text) {
  return `'${text.replaceAll("'", "'\\''")}'`
}
