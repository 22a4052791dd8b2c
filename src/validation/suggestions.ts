// Finds the field that a caller meant by an unknown one.
import type * as z from 'zod'

const MAX_DISTANCE = 2

/**
 * @param schema of the object with the unknown field.
 * @returns the path of the most similar field, also one level deeper, for example `parameters.top_k`.
 */
export function similarField(schema: z.core.$ZodType, unknown: string): string | undefined {
  const candidates = Object.entries(shapeOf(schema)).flatMap(([name, field]) => [
    { name, path: name },
    ...Object.keys(shapeOf(field)).map((inner) => ({ name: inner, path: `${name}.${inner}` })),
  ])
  const wanted = normalized(unknown)
  const ranked = candidates
    .map(({ name, path }) => ({ path, distance: distance(wanted, normalized(name)) }))
    .sort((a, b) => a.distance - b.distance)
  const [best] = ranked
  return best && best.distance <= Math.min(MAX_DISTANCE, wanted.length / 3) ? best.path : undefined
}

/** `topK` and `top-k` as `topk`. */
function normalized(name: string): string {
  return name.toLowerCase().replaceAll(/[_-]/g, '')
}

/** The fields of an object schema, also of an optional one; empty for any other schema. */
function shapeOf(schema: z.core.$ZodType): Record<string, z.core.$ZodType> {
  const { def } = schema._zod as { def: { shape?: Record<string, z.core.$ZodType>; innerType?: z.core.$ZodType } }
  return def.shape ?? (def.innerType ? shapeOf(def.innerType) : {})
}

/** Levenshtein's distance: the fewest letters to insert, remove or replace. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (const [i, letter] of Array.from(a).entries()) {
    const next = [i + 1]
    for (const [j, other] of Array.from(b).entries()) {
      const replaced = (row[j] ?? 0) + (letter === other ? 0 : 1)
      next.push(Math.min(replaced, (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1))
    }
    row = next
  }
  return row.at(-1) ?? 0
}
