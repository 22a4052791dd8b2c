"""Measures whether a text's logits move with its neighbours: alone, and in padded runs beside much longer texts.

Exits with 1 when any logit of any folder moves by more than --allow (0: bit for bit)."""

import argparse
import sys
from pathlib import Path

import numpy as np

from datasets import read_cola
from reference import Classifier

RUN = 32


def movement(classifier: Classifier, texts: list[str]) -> tuple[float, float, int]:
    """Largest move of a logit, the logits' spread (largest minus smallest), and how many texts moved at all."""
    pairs = list(reversed(texts)) if classifier.takes_pairs else [None] * len(texts)
    encoded = [classifier.encode(text, pair) for text, pair in zip(texts, pairs)]
    alone = np.concatenate([classifier.run([one]) for one in encoded])
    worst, moved = 0.0, set()
    # Three kinds of company: its like, one giant at the end of the run, and giants all around.
    giants = [classifier.encode(" ".join(texts[at : at + 90]), None) for at in range(RUN - 1)]
    for start in range(0, len(encoded), RUN):
        run = encoded[start : start + RUN]
        for company, rows in (
            (run, len(run)),
            ([*run[: RUN - 1], giants[0]], min(len(run), RUN - 1)),
            ([*run[:3], *giants[: RUN - 3]], min(len(run), 3)),
        ):
            moves = np.abs(classifier.run(company)[:rows] - alone[start : start + rows]).max(-1)
            worst = max(worst, float(moves.max()))
            moved.update(start + row for row in np.flatnonzero(moves))
    return worst, float(np.ptp(alone)), len(moved)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--cola", type=Path, required=True, help="folder with in_domain_dev.tsv")
    parser.add_argument("--texts", type=int, default=527)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--allow", type=float, default=0.0)
    options = parser.parse_args()
    texts = [text for text, _ in read_cola(options.cola / "in_domain_dev.tsv")][: options.texts]
    failed = False
    for folder in options.folders:
        worst, spread, moved = movement(Classifier(folder, options.threads), texts)
        print(f"{folder}: {moved} of {len(texts)} texts moved, by up to {worst:.3g} (logit spread {spread:.3g})", flush=True)
        failed |= worst > options.allow
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
