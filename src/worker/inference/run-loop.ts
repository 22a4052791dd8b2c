// Message loop of an inference process: loads models, then computes one run after the other until its parent exits.
import { messageOf } from '../../errors.ts'
import type { Classifier } from './classifier.ts'
import {
  emptyColumns,
  type FromInference,
  type Loaded,
  type LoadRequest,
  type ModelSource,
  type RunColumns,
  type RunRequest,
  type TextColumns,
  type TextError,
  type ToInference,
} from './ipc.ts'
import { endWithParent } from './parent-watch.ts'

export type LoadClassifier = (source: ModelSource, intraOpThreads: number) => Promise<Classifier>

/** Serves the parent of this process. */
export function serveRuns(load: LoadClassifier): void {
  const classifiers = new Map<string, Classifier>()
  // Runs are computed in the order of their messages: the parent takes the first run in flight for the crashed one.
  let last: Promise<void> = Promise.resolve()
  process.on('message', (message: ToInference) => {
    last = last.then(() => (message.kind === 'load' ? loadAll(message, load, classifiers) : run(message, classifiers)))
  })
  // A Ctrl-C in the terminal reaches the whole process group, but only the parent ends this process.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined)
  process.on('disconnect', () => process.exit())
  endWithParent()
}

async function loadAll({ models, intraOpThreads }: LoadRequest, load: LoadClassifier, into: Map<string, Classifier>) {
  const loaded: Loaded[] = []
  for (const source of models) {
    // The parent counts a crash during the load against this model.
    reply({ kind: 'loading', name: source.name })
    try {
      const classifier = await load(source, intraOpThreads)
      into.set(source.name, classifier)
      loaded.push({ name: source.name, ...classifier.report, cost: classifier.cost })
    } catch (error) {
      loaded.push({ name: source.name, refused: messageOf(error) })
    }
  }
  reply({ kind: 'loaded', models: loaded })
}

async function run({ id, model, ...columns }: RunRequest, classifiers: Map<string, Classifier>) {
  const startedAt = performance.now()
  const ran = (await classifiers.get(model)?.classify(columns)) ?? notLoaded(columns)
  reply({ kind: 'ran', id, ...ran, ms: performance.now() - startedAt })
}

/** An error for each text of a model that this process could not load. */
function notLoaded({ texts }: TextColumns): RunColumns {
  const error: TextError = {
    code: 'Backend',
    message: 'the model could not be loaded again; the log of the worker has the reason',
  }
  return { ...emptyColumns(texts.length, 0), errors: texts.map((_text, index) => [index, error]) }
}

function reply(message: FromInference): void {
  // An error means that the parent has exited; `disconnect` then ends this process.
  process.send?.(message, undefined, undefined, () => undefined)
}
