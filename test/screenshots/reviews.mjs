// A table of reviews for the pictures, the same at every run.

const BEGINS = [
  'The first half drags',
  'I laughed more than once',
  'The cast is wonderful',
  'My children fell asleep',
  'The music stays with you',
  'Nothing in it surprises',
  'The ending is worth the wait',
  'It looks expensive and feels empty',
  'A small film with a large heart',
  'The dialogue is hard to believe',
]
const ENDS = [
  'but the second makes up for it.',
  'and I want to see it again.',
  'although the plot makes little sense.',
  'and that is all there is to it.',
  'which is rare these days.',
  'yet something is missing.',
  'so I left before the end.',
  'as in the book.',
]
const MORE = [
  'The camera never rests.',
  'Go with friends.',
  'I expected more.',
  'Twenty minutes less would help.',
  'The lead carries it.',
  'Wait for the stream.',
  'The jokes are old.',
  'One of the best this year.',
  'It is not for me.',
  'Bring tissues.',
  'The villain is the best part.',
  'I had read that it is bad, and it is not.',
]

/** @returns CSV with the columns id and review; no two of 960 rows are the same. */
export function reviews(rows) {
  const combinations = BEGINS.flatMap((begin) => ENDS.flatMap((end) => MORE.map((more) => `${begin}, ${end} ${more}`)))
  // 577 and their number have no common divisor, so each comes once.
  const lines = Array.from({ length: rows }, (_each, row) => {
    return `${row + 1},"${combinations[(row * 577) % combinations.length]}"`
  })
  return `id,review\n${lines.join('\n')}\n`
}
