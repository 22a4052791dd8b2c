// `inferq completion`: scripts for shells, made from the commands and options of the program.
import type { Command, Option } from 'commander'

export const SHELLS = ['bash', 'zsh', 'fish'] as const
export type Shell = (typeof SHELLS)[number]

/** What may follow a command. */
interface Place {
  /** The names of the command and its parents, separated by spaces; empty for the program. */
  path: string
  words: { word: string; description: string }[]
  /** The values of options that take one of a few. */
  values: { option: string; choices: string[] }[]
}

/** Options of commands that another program reads: `serve` is run by the launcher. */
const FOREIGN_OPTIONS: Record<string, Record<string, string>> = {
  serve: {
    '--port': 'port of the api',
    '--workers': 'workers to start',
    '--redis': 'use this Redis',
    '--data': 'folder of everything that is stored',
    '--open': 'open the page in the browser',
  },
}

/** @returns the script, which a shell sources. */
export function completionScript(program: Command, shell: Shell): string {
  const places = placesOf(program, [])
  if (shell === 'fish') return fish(places)
  return shell === 'bash' ? bash(places) : zsh(places)
}

function placesOf(command: Command, parents: string[]): Place[] {
  const path = parents.join(' ')
  const subcommands = command.commands
  const options = optionsOf(command)
  const foreign = Object.entries(FOREIGN_OPTIONS[path] ?? {})
  const place = {
    path,
    words: [
      ...subcommands.map((each) => ({ word: each.name(), description: each.description() })),
      ...command.registeredArguments.flatMap(({ argChoices = [] }) =>
        argChoices.map((word) => ({ word, description: '' })),
      ),
      ...options.map(({ long, description }) => ({ word: String(long), description })),
      ...foreign.map(([word, description]) => ({ word, description })),
      { word: '--help', description: 'display help for command' },
    ],
    values: options.flatMap(({ long, argChoices: choices }) => (choices ? [{ option: String(long), choices }] : [])),
  }
  return [place, ...subcommands.flatMap((each) => placesOf(each, [...parents, each.name()]))]
}

/** Those of the command, and those of the program, which every command takes. */
function optionsOf(command: Command): Option[] {
  const shown = ({ options }: Command) => options.filter(({ long, hidden }) => long && !hidden)
  let root = command
  while (root.parent) root = root.parent
  const general = root === command ? [] : shown(root).filter(({ long }) => long !== '--version')
  return [...shown(command), ...general]
}

/** Lines of a `case` that follow a word into a subcommand, and of one that sets the candidates. */
function cases(places: Place[]): { follow: string; candidates: string } {
  const paths = places.flatMap(({ path }) => (path === '' ? [] : [`'${path}'`]))
  const follow = `      ${paths.join('|')}) at="\${at:+$at }$word" ;;`
  const candidates = places
    .flatMap(({ path, words, values }) => [
      ...values.map(({ option, choices }) => `    '${path}|${option}') candidates='${choices.join(' ')}' ;;`),
      `    '${path}|'*) candidates='${words.map(({ word }) => word).join(' ')}' ;;`,
    ])
    .join('\n')
  return { follow, candidates }
}

function bash(places: Place[]): string {
  const { follow, candidates } = cases(places)
  return `# Completion of inferq for bash: source <(inferq completion bash)
_inferq() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]} at= word candidates=
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "\${at:+$at }$word" in
${follow}
    esac
  done
  case "$at|$previous" in
${candidates}
  esac
  COMPREPLY=($(compgen -W "$candidates" -- "$current"))
}
complete -o default -F _inferq inferq
`
}

function zsh(places: Place[]): string {
  const { follow, candidates } = cases(places)
  return `#compdef inferq
# Completion of inferq for zsh: source <(inferq completion zsh)
_inferq() {
  local previous=\${words[CURRENT-1]} at= word candidates=
  for word in "\${(@)words[2,CURRENT-1]}"; do
    case "\${at:+$at }$word" in
${follow}
    esac
  done
  case "$at|$previous" in
${candidates}
  esac
  compadd -- \${=candidates}
  [[ \${words[CURRENT]} == -* ]] || _files
}
compdef _inferq inferq
`
}

function fish(places: Place[]): string {
  const paths = places.flatMap(({ path }) => (path === '' ? [] : [quoted(path)]))
  const lines = places.flatMap(({ path, words, values }) =>
    words.map(({ word, description }) => {
      const choices = values.find(({ option }) => option === word)?.choices
      const name = word.startsWith('--') ? `-l ${word.slice(2)}` : `-a ${word}`
      const more = choices ? ` -x -a ${quoted(choices.join(' '))}` : ''
      return `complete -c inferq -n "__inferq_at ${quoted(path)}" ${name}${more} -d ${quoted(description)}`
    }),
  )
  return `# Completion of inferq for fish: inferq completion fish | source
function __inferq_at
  set -l at
  for word in (commandline -opc)[2..]
    set -l next $at $word
    if contains -- "$next" ${paths.join(' ')}
      set at $next
    end
  end
  test "$at" = "$argv[1]"
end
${lines.join('\n')}
`
}

function quoted(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
}
