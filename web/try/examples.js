// Texts to begin with, by what the labels of a model are about.

/** @type {[RegExp, string[]][]} */
const BY_LABEL = [
  [
    /acceptable|grammat/i,
    ['The boy is sitting on a bench', 'The boy are sit on bench a', 'Which book did you say that he read?'],
  ],
  [
    /positive|negative|star/i,
    ['A moving and funny film.', 'Two hours of my life are gone.', 'It is better than I expected.'],
  ],
  [/toxic|hate|insult|offens/i, ['Thank you for your help!', 'You are an idiot.', 'I disagree with this review.']],
  [/spam|ham/i, ['You have won! Click here to claim your prize.', 'The meeting is moved to three.']],
]
const OTHERS = ['The parcel came two days late.', 'How do I change my password?', 'Thank you, it works now!']

/**
 * @param {string[]} labels
 * @returns {string[]}
 */
export function examplesFor(labels) {
  return BY_LABEL.find(([about]) => labels.some((label) => about.test(label)))?.[1] ?? OTHERS
}
