"""Makes sentences that are probably unacceptable out of acceptable ones: the errors of hasty writers, one or two each."""

import random
import re
from collections import Counter, defaultdict

SWAPS = [
    ("is", "are"), ("was", "were"), ("has", "have"), ("does", "do"), ("a", "an"), ("this", "these"), ("that", "those"),
    ("he", "him"), ("she", "her"), ("they", "them"), ("i", "me"), ("we", "us"), ("himself", "themselves"),
    ("herself", "himself"), ("who", "which"), ("much", "many"), ("be", "been"), ("will", "would have"),
    ("his", "he"), ("their", "they"), ("my", "me"), ("to", "for"), ("any", "some"), ("ever", "never"),
    ("what", "who"), ("whether", "that"), ("all", "each"), ("every", "all"), ("been", "being"), ("than", "that"),
]  # fmt: skip
SWAP = {**{left: right for left, right in SWAPS}, **{right: left for left, right in SWAPS if " " not in right}}
SMALL = "the a of to in on at by for with from that which who is are was were has have been be do does did not it there".split()
PREPOSITIONS = "of to in on at by for with from about into over under".split()
QUESTIONS = "who whom whose what which where when why how that whether".split()
PRONOUNS = "i me my he him his she her they them their it its we us our you your himself herself itself themselves".split()
ENDINGS = ("ing", "ed", "ly", "s")


class Corrupter:
    """Puts errors into sentences; other words of the same kind come from the sentences that it is made with."""

    def __init__(self, sentences: list[str], rarest: int = 15):
        counts = Counter(word for sentence in sentences for word in sentence.split() if word.isalpha() and word.islower())
        self.alike: dict[str, list[str]] = defaultdict(list)
        for word, count in counts.items():
            if count >= rarest and word not in SMALL and word not in PRONOUNS and word not in QUESTIONS:
                self.alike[ending(word)].append(word)
        self.known = {word for words in self.alike.values() for word in words}
        self.errors = [*ERRORS, (self.other_word, 3)]

    def corrupt(self, sentence: str, dice: random.Random) -> str | None:
        """The sentence with one error, sometimes two, or None if none of the errors tried fits."""
        words = sentence.split()
        end = words.pop() if words and re.fullmatch(r"[.?!]+", words[-1]) else ""
        if len(words) < 4:
            return None
        changed = words
        for _ in range(1 if dice.random() < 0.8 else 2):
            for _attempt in range(6):
                name = dice.choices(*zip(*self.errors))[0]
                after = name(list(changed), dice)
                if after and after != changed:
                    changed = after
                    break
        if [word.lower() for word in changed] == [word.lower() for word in words]:
            return None
        return " ".join([*changed, end]).strip()

    def other_word(self, words, dice):
        """A word becomes another with the same ending, so that a verb gets what it does not take."""
        places = [at for at, word in enumerate(words) if word in self.known]
        if not places:
            return None
        at = dice.choice(places)
        words[at] = dice.choice(self.alike[ending(words[at])])
        return words


def ending(word: str) -> str:
    return next((end for end in ENDINGS if word.endswith(end)), "")


def exchange(words, dice):
    """A word of the closed list becomes its opposite: is and are, he and him."""
    places = [at for at, word in enumerate(words) if word.lower() in SWAP]
    if not places:
        return None
    at = dice.choice(places)
    words[at] = SWAP[words[at].lower()]
    return words


def bend(words, dice):
    """A word's ending changes: the -s of agreement or plural, -ed against -ing."""
    places = [at for at, word in enumerate(words) if word.isalpha() and len(word) > 3 and word.lower() not in SMALL]
    if not places:
        return None
    at = dice.choice(places)
    word = words[at]
    if word.endswith("ing"):
        words[at] = word[:-3] + dice.choice(["ed", "s", ""])
    elif word.endswith("ed"):
        words[at] = word[:-2] + dice.choice(["ing", "s"])
    elif word.endswith("s") and not word.endswith("ss"):
        words[at] = word[:-1]
    else:
        words[at] = word + dice.choice(["s", "s", "ing", "ed"])
    return words


def drop(words, dice):
    """A word goes missing; a small one where there is one."""
    small = [at for at, word in enumerate(words) if word.lower() in SMALL]
    del words[dice.choice(small) if small and dice.random() < 0.7 else dice.randrange(len(words))]
    return words


def cut(words, dice):
    """The end goes missing, up to three words."""
    return words[: max(3, len(words) - dice.randint(1, 3))]


def insert(words, dice):
    """A small word too many."""
    words.insert(dice.randrange(1, len(words)), dice.choice(SMALL))
    return words


def insert_pronoun(words, dice):
    words.insert(dice.randrange(1, len(words) + 1), dice.choice(PRONOUNS))
    return words


def double(words, dice):
    at = dice.randrange(len(words))
    return words[: at + 1] + words[at:]


def swap_neighbours(words, dice):
    at = dice.randrange(len(words) - 1)
    words[at], words[at + 1] = words[at + 1], words[at]
    return words


def move(words, dice):
    """A word or two end up elsewhere."""
    size = dice.choice([1, 1, 2])
    at = dice.randrange(len(words) - size)
    moved = words[at : at + size]
    del words[at : at + size]
    to = dice.randrange(len(words) + 1)
    return words[:to] + moved + words[to:]


def one_of(kind: list[str]):
    """An error that turns a word of a closed list into another of that list."""

    def other(words, dice):
        places = [at for at, word in enumerate(words) if word.lower() in kind]
        if not places:
            return None
        words[dice.choice(places)] = dice.choice(kind)
        return words

    return other


ERRORS = [
    (exchange, 5), (bend, 5), (drop, 4), (swap_neighbours, 3), (move, 3), (insert, 2), (one_of(PREPOSITIONS), 2),
    (one_of(QUESTIONS), 2), (one_of(PRONOUNS), 2), (cut, 2), (insert_pronoun, 2), (double, 0.5),
]  # fmt: skip
