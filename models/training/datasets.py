"""Reads the public data sets: CoLA (Warstadt et al. 2018), SST-2 (Socher et al. 2013), WordNet's examples (Miller 1995)."""

import re
from pathlib import Path


def read_cola(path: Path) -> list[tuple[str, int]]:
    """Sentences and labels (1 acceptable) of one file of the raw public release: tab-separated, no header, no quoting."""
    rows = []
    for line in Path(path).read_text(encoding="utf-8").splitlines():
        _source, label, _mark, sentence = line.split("\t")
        rows.append((sentence, int(label)))
    return rows


def read_sst2(path: Path) -> list[tuple[str, int]]:
    """Texts and labels (1 positive) of one file: a header line, then label, tab, text."""
    rows = []
    for line in Path(path).read_text(encoding="utf-8").splitlines()[1:]:
        label, text = line.split("\t")
        rows.append((text.strip(), int(label)))
    return rows


def read_wordnet_examples(folder: Path) -> list[str]:
    """Sentences of 5 to 20 words from the glosses of WordNet 3.0, and the verbs' phrases, each once and with its full stop."""
    examples: dict[str, None] = {}
    for kind in ("noun", "verb", "adj", "adv"):
        for line in (Path(folder) / f"data.{kind}").read_text(encoding="latin-1").splitlines():
            for example in re.findall(r'"([^"]+)"', line.partition(" | ")[2]):
                example = example.strip()
                words = example.split()
                plain = re.fullmatch(r"[A-Za-z][A-Za-z ,.;:'?!-]*", example)
                if plain and 5 <= len(words) <= 20 and (kind == "verb" or OPENING.fullmatch(words[0])):
                    examples[example if example[-1] in ".?!" else f"{example}."] = None
    return list(examples)


OPENING = re.compile(r"[A-Z].*|he|she|they|it|we|you|his|her|this|that|i|my|these|there|the|who|what")
