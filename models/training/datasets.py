"""Reads the data sets: CoLA (Warstadt et al. 2018), SST-2 (Socher et al. 2013), and what `data/` holds."""

import lzma
from pathlib import Path

DATA = Path(__file__).parent / "data"


def read_cola(path: Path) -> list[tuple[str, int]]:
    """Sentences and labels (1 acceptable) of one file of the raw public release: tab-separated, no header, no quoting."""
    rows = []
    for line in Path(path).read_text(encoding="utf-8").splitlines():
        _source, label, _mark, sentence = line.split("\t")
        rows.append((sentence, int(label)))
    return rows


def split_cola(path: Path) -> tuple[list[tuple[str, int]], list[tuple[str, int]]]:
    """CoLA's train file as `read_cola` gives it: nine tenths to learn from, and every tenth sentence to set the scores by."""
    rows = read_cola(path)
    held = {text for text, _ in rows[::10]}
    return [row for row in rows if row[0] not in held], rows[::10]


def read_sst2(path: Path) -> list[tuple[str, int]]:
    """Texts and labels (1 positive) of one file: a header line, then label, tab, text."""
    rows = []
    for line in Path(path).read_text(encoding="utf-8").splitlines()[1:]:
        label, text = line.split("\t")
        rows.append((text.strip(), int(label)))
    return rows


def whole_sentences(rows: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """Those texts that are part of no other."""
    parts = set()
    longest = sorted({text for text, _ in rows}, key=len, reverse=True)
    for text in longest:
        words = text.split()
        if text in parts:
            continue
        for start in range(len(words)):
            for end in range(start + 1, len(words) + 1):
                if end - start < len(words):
                    parts.add(" ".join(words[start:end]))
    return [(text, label) for text, label in rows if text not in parts]


def read_sentences() -> list[str]:
    """96,874 plain sentences of 4 to 30 words; the file names each one's source."""
    return [text for _source, text in rows_of("sentences.tsv.xz")]


def read_soft_train() -> dict[str, float]:
    """CoLA's train sentences, and the chance of "acceptable" after teachers that had not learned from them."""
    return {text: float(chance) for _label, chance, text in rows_of("cola-train-soft.tsv.xz")}


def read_soft_pool() -> list[tuple[str, float]]:
    """106,009 made sentences, and the chance of "acceptable" after twenty teachers."""
    return [(text, float(chance)) for chance, text in rows_of("cola-pool-soft.tsv.xz")]


def rows_of(name: str) -> list[list[str]]:
    """The columns of each line of a packed file in `data/`."""
    with lzma.open(DATA / name, "rt", encoding="utf-8") as lines:
        return [line.rstrip("\n").split("\t") for line in lines]
