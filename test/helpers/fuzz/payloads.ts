// Data of jobs and results as another version, a fault or another program may have written it.
import fc from 'fast-check'

/** A text that no message may repeat. */
export const PRIVATE_TEXT = 'a private text'

export const validJob = {
  v: 1,
  model: 'tiny-fp32',
  items: [{ text: PRIVATE_TEXT }],
  truncate: 'right',
  replyTo: 'a',
  results: 2,
  owner: 'a',
  weight: 1,
}

const anything = fc.oneof(
  fc.jsonValue(),
  fc.constantFrom<unknown>(null, -1, 0, 1, 2, 1e308, 0.5, '', PRIVATE_TEXT, [], {}, [PRIVATE_TEXT], { text: 7 }),
)

/** Replaces, removes or adds members of `valid`, or of an object in it, as versions before and after may have done. */
export function mutated(valid: object): fc.Arbitrary<unknown> {
  const names = fc.constantFrom(...Object.keys(valid), 'v', '__proto__', 'new_member', 'constructor')
  const change = fc.tuple(names, fc.option(anything, { nil: undefined }))
  const members = fc.array(change, { minLength: 1, maxLength: 4 }).map((changes) => {
    const result = new Map<string, unknown>(Object.entries(structuredClone(valid)))
    for (const [name, value] of changes)
      if (value === undefined) result.delete(name)
      else result.set(name, value)
    const json = [...result].map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`)
    return JSON.parse(`{${json.join(',')}}`) as unknown
  })
  return fc.oneof({ weight: 4, arbitrary: members }, { weight: 1, arbitrary: anything })
}
