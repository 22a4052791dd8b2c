"""Reads the two public data sets: CoLA (Warstadt et al. 2018) and SST-2 (Socher et al. 2013)."""

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
