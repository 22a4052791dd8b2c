// Processes of this machine, as /proc and signals show them.
import { readdir, readFile, readlink } from 'node:fs/promises'

/** The process ids of its children. */
export async function childrenOf(pid: number | undefined): Promise<number[]> {
  const children: number[] = []
  for (const entry of await readdir('/proc')) {
    if (!/^\d+$/.test(entry)) continue
    const stat = await readFile(`/proc/${entry}/stat`, 'utf8').catch(() => '')
    if (Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) === pid) children.push(Number(entry))
  }
  return children
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

/** The addresses on which a process and its children listen, sorted; from /proc, so only on Linux. */
export async function listeningAddresses(pid: number): Promise<string[]> {
  const addresses: string[] = []
  for (const each of [pid, ...(await childrenOf(pid))]) {
    const fds = await readdir(`/proc/${each}/fd`).catch(() => [])
    const links = await Promise.all(fds.map((fd) => readlink(`/proc/${each}/fd/${fd}`).catch(() => '')))
    const tables = await Promise.all(['tcp', 'tcp6'].map((name) => readFile(`/proc/${each}/net/${name}`, 'utf8')))
    for (const row of tables.join('\n').split('\n')) {
      const [, local = '', , state, , , , , , inode] = row.trim().split(/\s+/)
      // 0A: LISTEN.
      if (state === '0A' && links.includes(`socket:[${inode}]`)) addresses.push(addressOf(local.split(':')[0] ?? ''))
    }
  }
  return addresses.sort()
}

/** The address of a row of /proc/net/tcp, whose bytes are reversed; one of version 6 stays hexadecimal. */
function addressOf(hex: string): string {
  if (hex.length !== 8) return hex
  return [...Buffer.from(hex, 'hex').reverse()].join('.')
}
