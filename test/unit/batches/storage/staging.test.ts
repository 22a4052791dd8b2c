// Files that are being written into a directory, and those that killed processes left there.
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { DirectoryStore } from '../../../../src/batches/storage/directory-store.ts'
import { StorageUnavailableError } from '../../../../src/batches/storage/file-store.ts'
import { waitFor } from '../../../helpers/wait-for.ts'

const MINUTE = 60_000
let dir: string
let store: DirectoryStore
let now: number
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'inferq-staging-'))
  store = new DirectoryStore(dir)
  now = 1_000_000
})
afterEach(() => {
  vi.useRealTimers()
  rmSync(dir, { recursive: true, force: true })
})

const incoming = () => readdirSync(join(dir, 'incoming'))
const fileOf = (name: string) => join(dir, 'incoming', name)

/** What a killed process leaves. */
function leave(name: string): void {
  mkdirSync(join(dir, 'incoming'), { recursive: true })
  writeFileSync(fileOf(name), 'half of it')
}

async function sweepFor(minutes: number, sweeping = store, between: () => Promise<void> | void = () => undefined) {
  for (let minute = 0; minute < minutes; minute += 1) {
    await between()
    await sweeping.sweep((now += MINUTE))
  }
}

/** An upload of another api on the same directory, whose content comes as slowly as the test wants. */
async function upload() {
  // The writer's timer alone: the work on files needs the others.
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
  let resolve: (piece: string) => void = () => undefined
  const promise = new Promise<string>((resolved) => (resolve = resolved))
  async function* content() {
    yield 'first '
    yield await promise
  }
  const stored = new DirectoryStore(dir).put('files/a', content())
  // It may fail before it is awaited.
  stored.catch(() => undefined)
  await waitFor('the file', () => existsSync(join(dir, 'incoming')) && incoming().length === 1)
  return { name: incoming()[0] ?? '', finish: () => (resolve('last'), stored) }
}

describe('the sweep of incomplete files', () => {
  it('removes what a killed process left, within minutes', async () => {
    leave('left')
    await sweepFor(3)
    expect(incoming()).toEqual(['left'])
    await sweepFor(2)
    expect(incoming()).toEqual([])
  })

  it('keeps a file of another api that waits for its content', async () => {
    const { name, finish } = await upload()
    await sweepFor(10, store, async () => {
      const before = statSync(fileOf(name)).mtimeMs
      await waitFor('the time of the file to change', () => {
        vi.advanceTimersByTime(MINUTE)
        return statSync(fileOf(name)).mtimeMs > before
      })
    })
    expect(await finish()).toBe(10)
    expect((await store.get('files/a'))?.bytes).toBe(10)
    expect(incoming()).toEqual([])
  })

  it('compares no clocks: a time far away is as good as any other', async () => {
    leave('slow')
    let time = 1
    await sweepFor(10, store, () => utimesSync(fileOf('slow'), time, (time += 1)))
    expect(incoming()).toEqual(['slow'])
  })

  it('counts a jump of the clock, or a suspension of all processes, as a minute', async () => {
    leave('left')
    await store.sweep(now)
    await store.sweep((now += 24 * 60 * MINUTE))
    await store.sweep((now -= 48 * 60 * MINUTE))
    expect(incoming()).toEqual(['left'])
  })

  it('is no error before the first file', async () => {
    await sweepFor(2)
    expect(readdirSync(dir)).toEqual([])
  })

  it('fails the put of a process that was suspended for so long, so that it is repeated', async () => {
    const { finish } = await upload()
    await sweepFor(5)
    expect(incoming()).toEqual([])
    await expect(finish()).rejects.toBeInstanceOf(StorageUnavailableError)
    expect(await store.get('files/a')).toBeUndefined()
  })
})
