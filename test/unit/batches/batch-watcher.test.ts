import { describe, expect, it } from 'vitest'
import { BatchWatcher } from '../../../src/batches/batch-watcher.ts'
import type { BatchRecord } from '../../../src/records/batches.ts'
import type { OwnedId } from '../../../src/records/ids.ts'
import { waitFor } from '../../helpers/wait-for.ts'

const id = (uuid: string): OwnedId => ({ owner: 'ann', uuid })
const recordWith = (completed: number) => ({ completed }) as BatchRecord

function watcherOf(records: Map<string, BatchRecord>, pollMs = 5) {
  const reads: string[] = []
  const errors: unknown[] = []
  const state = { fails: false }
  const read = async ({ uuid }: OwnedId) => {
    reads.push(uuid)
    if (state.fails) throw new Error('Redis is away')
    const found = records.get(uuid)
    return found && { ...found }
  }
  const watcher = new BatchWatcher({ read, pollMs, onError: (error) => errors.push(error) })
  return { watcher, reads, errors, state }
}

/** Collects the counts that a follower sees. */
function follow(watcher: BatchWatcher, uuid: string) {
  const controller = new AbortController()
  const seen: (number | undefined)[] = []
  const done = (async () => {
    for await (const record of watcher.records(id(uuid), controller.signal)) seen.push(record?.completed)
  })()
  return { seen, stop: () => (controller.abort(), done) }
}

describe('BatchWatcher', () => {
  it('polls once for all followers of a batch, and not at all without one', async () => {
    const records = new Map([['a', recordWith(0)]])
    const { watcher, reads } = watcherOf(records, 1_000_000)
    const followers = Array.from({ length: 100 }, () => follow(watcher, 'a'))
    await waitFor('the first record', () => followers.every(({ seen }) => seen.length === 1))
    expect(reads).toEqual(['a'])
    await Promise.all(followers.map(({ stop }) => stop()))
    expect(watcher.size).toBe(0)
  })

  it('yields each change to all followers, also to one that comes later', async () => {
    const records = new Map([['a', recordWith(0)]])
    const { watcher } = watcherOf(records)
    const early = follow(watcher, 'a')
    await waitFor('the first record', () => early.seen.includes(0))
    records.set('a', recordWith(7))
    await waitFor('the change', () => early.seen.includes(7))
    const late = follow(watcher, 'a')
    await waitFor('the record', () => late.seen.includes(7))
    records.delete('a')
    await waitFor('the end', () => early.seen.includes(undefined) && late.seen.includes(undefined))
    await Promise.all([early.stop(), late.stop()])
  })

  it('repeats an unchanged record now and then', async () => {
    const { watcher } = watcherOf(new Map([['a', recordWith(3)]]))
    const follower = follow(watcher, 'a')
    await waitFor('a repetition', () => follower.seen.length >= 2)
    expect(new Set(follower.seen)).toEqual(new Set([3]))
    await follower.stop()
  })

  it('goes on after an error', async () => {
    const records = new Map([['a', recordWith(0)]])
    const { watcher, errors, state } = watcherOf(records)
    const follower = follow(watcher, 'a')
    await waitFor('the first record', () => follower.seen.includes(0))
    state.fails = true
    await waitFor('an error', () => errors.length > 0)
    state.fails = false
    records.set('a', recordWith(1))
    await waitFor('the change', () => follower.seen.includes(1))
    await follower.stop()
  })

  it('follows again after the last follower left', async () => {
    const records = new Map([['a', recordWith(0)]])
    const { watcher } = watcherOf(records)
    const first = follow(watcher, 'a')
    await waitFor('the first record', () => first.seen.includes(0))
    await first.stop()
    const second = follow(watcher, 'a')
    records.set('a', recordWith(2))
    await waitFor('the change', () => second.seen.includes(2))
    await second.stop()
  })
})
