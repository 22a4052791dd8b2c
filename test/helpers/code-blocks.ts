// The code blocks of a Markdown page.

export interface CodeBlock {
  /** `README.md:21` */
  place: string
  language: string
  code: string
  /** Why it is not executed: the comment `<!-- not run: REASON -->` directly above it. */
  notRun: string | undefined
}

/** Returns the blocks that name a language; diagrams name none. */
export function codeBlocksOf(page: string, markdown: string): CodeBlock[] {
  const blocks = markdown.matchAll(/(?:^<!-- not run: (.+) -->\n)?^```([a-z]+)\n([\s\S]*?)^```$/gm)
  return [...blocks].map(({ 1: notRun, 2: language = '', 3: code = '', index }) => ({
    place: `${page}:${markdown.slice(0, index).split('\n').length}`,
    language,
    code,
    notRun,
  }))
}
