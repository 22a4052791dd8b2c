// The life of an inference process: loads what it is told to, then answers one run after the other until its parent
// is gone.
import { messageOf } from '../../errors.ts'
import type { Classifier } from './classifier.ts'
import {
  emptyColumns,
  type FromInference,
  type LoadRequest,
  type Loaded,
  type ModelSource,
  type RunColumns,
  type RunRequest,
  type TextColumns,
  type TextError,
  type ToInference,
} from './ipc.ts'

export type LoadClassifier = (source: ModelSource, intraOpThreads: number) => Promise<Classifier>

/** Serves the parent of this process. */
export function serveRuns(load: LoadClassifier): void {
  const classifiers = new Map<string, Classifier>()
  // Runs are computed in the order in which they were sent; the parent relies on it to know what a crash hit.
  let last: Promise<void> = Promise.resolve()
  process.on('message', (message: ToInference) => {
    last = last.then(() => (message.kind === 'load' ? loadAll(message, load, classifiers) : run(message, classifiers)))
  })
  // The parent decides when this process ends; a Ctrl-C in the terminal reaches the whole group.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined)
  process.on('disconnect', () => process.exit())
}

async function loadAll({ models, intraOpThreads }: LoadRequest, load: LoadClassifier, into: Map<string, Classifier>) {
  const loaded: Loaded[] = []
  for (const source of models) {
    // Should loading it kill this process, the parent knows which model did it.
    answer({ kind: 'loading', name: source.name })
    try {
      const classifier = await load(source, intraOpThreads)
      into.set(source.name, classifier)
      loaded.push({ name: source.name, ...classifier.report, cost: classifier.cost })
    } catch (error) {
      loaded.push({ name: source.name, refused: messageOf(error) })
    }
  }
  answer({ kind: 'loaded', models: loaded })
}

async function run({ id, model, ...columns }: RunRequest, classifiers: Map<string, Classifier>) {
  const began = performance.now()
  const ran = (await classifiers.get(model)?.classify(columns)) ?? notLoaded(columns)
  answer({ kind: 'ran', id, ...ran, ms: performance.now() - began })
}

/** Its load failed in this process: each of its texts has that as its error, and the process lives on. */
function notLoaded({ texts }: TextColumns): RunColumns {
  const error: TextError = {
    code: 'Backend',
    message: 'the model could not be loaded again; the log of the worker says why',
  }
  return { ...emptyColumns(texts.length, 0), errors: texts.map((_text, index) => [index, error]) }
}

function answer(message: FromInference): void {
  // A parent that is gone needs no answer: the disconnect ends this process.
  process.send?.(message, undefined, undefined, () => undefined)
}
