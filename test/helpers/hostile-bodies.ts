// Bodies that are as expensive to refuse as their size allows, for tests and the benchmark.

/** `[what it is, route, a body of about `bytes` bytes]` */
export function hostileBodies(bytes: number): [what: string, route: string, body: string][] {
  const fill = (open: string, each: (index: number) => string, close: string) => {
    const parts: string[] = []
    for (let [size, index] = [open.length + close.length, 0]; ; index += 1) {
      const part = each(index)
      size += part.length + 1
      if (size > bytes) return `${open}${parts.join(',')}${close}`
      parts.push(part)
    }
  }
  const batch = '"endpoint":"/predict","completion_window":"24h"'
  const request = '"custom_id":"a","body":{"inputs":"She saw him."}'
  const unknown = (count: number) => `{${Array.from({ length: count }, (_, index) => `"field${index}":1`).join(',')}}`
  return [
    ['numbers', '/predict', fill('{"inputs":[', () => '1', ']}')],
    ['empty lists', '/predict', fill('{"inputs":[', () => '[]', ']}')],
    ['short texts', '/predict', fill('{"inputs":[', () => '"a"', ']}')],
    ['unknown fields', '/predict', fill('{"inputs":"a",', (index) => `"field${index}":1`, '}')],
    [
      'empty strings, as many as allowed',
      '/predict',
      padded(`{"inputs":[${Array(1_000).fill('""').join(',')}]`, bytes),
    ],
    ['long strings that are blank', '/predict', fill('{"inputs":[', () => `"${' '.repeat(1_000)}"`, ']}')],
    ['lone surrogates', '/predict', fill('{"inputs":[', () => `"${'\\ud800'.repeat(160)}"`, ']}')],
    ['escaped quotes', '/predict', fill('{"inputs":7,"a":"', () => '\\"\\"\\"\\"', '"}')],
    ['brackets', '/predict', `{"inputs":${'['.repeat(bytes / 2)}${']'.repeat(bytes / 2)}}`],
    ['objects of unknown fields', '/models/tiny', fill('{"inputs":[', () => unknown(120), ']}')],
    ['objects of 60 unknown fields', '/models/tiny', fill('{"inputs":[', () => unknown(60), ']}')],
    ['metadata', '/v1/predictions', fill('{"input":{"text":"a"},"metadata":{', (index) => `"m${index}":1`, '}}')],
    ['empty requests', '/v1/batches', fill(`{${batch},"requests":[`, () => '{}', ']}')],
    [
      'empty requests, as many as allowed',
      '/v1/batches',
      padded(`{${batch},"requests":[${Array(10_000).fill('{}').join(',')}]`, bytes),
    ],
    ['requests with unknown fields', '/v1/batches', fill(`{${batch},"requests":[`, () => `{${request},"x":1}`, ']}')],
    ['requests with many unknown fields', '/v1/batches', fill(`{${batch},"requests":[`, () => unknown(12), ']}')],
  ]
}

/** Adds a long string of an unknown field to an object that is not closed yet. */
function padded(open: string, bytes: number): string {
  return `${open},"padding":"${'x'.repeat(Math.max(0, bytes - open.length - 14))}"}`
}
