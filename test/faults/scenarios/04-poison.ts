import { BatchCaller, line } from '../../helpers/batches.ts'
import { ask } from '../runner/calls.ts'
import { DEFECTIVE, type Defect, textThat } from '../runner/defective.ts'
import { spread } from '../runner/figures.ts'
import { Period } from '../runner/loops.ts'
import type { Scenario } from '../runner/scenario.ts'

const KEYS = { poisoner: 'the-secret-of-poisoner-01', neighbor: 'the-secret-of-neighbor-02' }
const POISON: Defect[] = ['fails', 'crashes', 'hangs', 'grows']
const LANES = ['interactive', 'async', 'bulk'] as const
type Lane = (typeof LANES)[number]
/** One in so many texts is poison. */
const RATIO = 200

/** Whether the poison, in the middle of its texts, alone has an error. */
type Isolated = boolean

export const scenario: Scenario = {
  promise:
    'A text that makes the native call throw, crash, hang or take all memory fails alone, in every lane; its neighbors, of the same request, run and other API keys, are answered.',
  async run({ pick, start }) {
    const cluster = await start({
      apiEnv: {
        API_KEYS: Object.entries(KEYS)
          .map((entry) => entry.join(':'))
          .join(),
        WAIT_TIMEOUT: '5m',
        MAX_WAIT: '5m',
      },
      workerEnv: { ...DEFECTIVE, INFERENCE_PROCESSES: '2', RUN_TIMEOUT: '5s', INFERENCE_MEMORY: '700mb' },
    })
    const headers = { Authorization: `Bearer ${KEYS.poisoner}` }
    const poisoned = (defect: Defect) => {
      const texts = Array.from({ length: RATIO }, (_, index) => `text ${index}`)
      texts[RATIO / 2] = textThat(defect)
      return texts
    }
    const tries: Record<Lane, (defect: Defect) => Promise<Isolated>> = {
      async interactive(defect) {
        const json = { inputs: poisoned(defect) }
        const lenient = { ...headers, Prefer: 'handling=lenient' }
        return isIsolated((await ask(`${cluster.url}/predict`, { json, headers: lenient, signal: LATE() })).body)
      },
      async async(defect) {
        const json = { input: { inputs: poisoned(defect) } }
        const waiting = { ...headers, Prefer: 'wait=300' }
        const created = await ask(`${cluster.url}/v1/predictions`, { json, headers })
        const { id } = created.body as { id: string }
        const { body } = await ask(`${cluster.url}/v1/predictions/${id}`, { headers: waiting, signal: LATE() })
        const { errors, output } = body as { errors?: unknown[]; output: unknown }
        return errors?.length === 1 && isIsolated(output)
      },
      async bulk(defect) {
        const caller = new BatchCaller(cluster.url, KEYS.poisoner)
        const rows = poisoned(defect).map((inputs, index) => line(`row-${index}`, { inputs }))
        const batch = await caller.ended((await caller.run(rows.join(''))).id, 400_000)
        const errors = await caller.rows(batch.error_file_id)
        return errors.length === 1 && errors[0]?.custom_id === `row-${RATIO / 2}`
      },
    }
    const times: number[] = []
    let unanswered = 0
    const neighbor = { Authorization: `Bearer ${KEYS.neighbor}` }
    const period = new Period().every(100, async () => {
      const began = Date.now()
      const { status } = await ask(`${cluster.url}/predict`, {
        json: { inputs: 'hello' },
        headers: neighbor,
        signal: LATE(),
      })
      times.push(Date.now() - began)
      if (status !== 200) unanswered += 1
    })
    const over = period.last(1_200_000)
    const wanted = pick<[Lane, Defect][]>(
      [
        ['interactive', 'hangs'],
        ['async', 'grows'],
        ['bulk', 'crashes'],
        ['bulk', 'fails'],
      ],
      LANES.flatMap((lane) => POISON.map((defect): [Lane, Defect] => [lane, defect])),
    )
    const spilled: string[] = []
    await Promise.all(
      wanted.map(async ([lane, defect]) => {
        if (!(await tries[lane](defect))) spilled.push(`${defect} in ${lane}`)
      }),
    )
    period.end()
    await over
    const innocent = wanted.length * (RATIO - 1)
    return {
      faults: `${wanted.length} poison texts (${POISON.join(', ')}), 1 in ${RATIO}, in the lanes ${LANES.join(', ')}, with 2 inference processes`,
      figure: `${innocent} neighbors of the same key, failed with their poison ${spilled.length === 0 ? 0 : `in: ${spilled.join(', ')}`}; another key's calls ${times.length}, failed ${unanswered}, ${spread(times)}`,
      checks: [
        [`not alone with its error: ${spilled.join(', ')}`, spilled.length === 0],
        [`${unanswered} calls of another key failed`, unanswered === 0 && times.length > 0],
        ['a worker ended', cluster.crashes === 0],
      ],
    }
  },
}

const LATE = () => AbortSignal.timeout(400_000)

/** Every place but the poison's has scores; the poison's an error or nothing. */
function isIsolated(answer: unknown): boolean {
  if (!Array.isArray(answer) || answer.length !== RATIO) return false
  return answer.every((each, index) => Array.isArray(each) === (index !== RATIO / 2))
}
