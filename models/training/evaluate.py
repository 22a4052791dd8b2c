"""Matthews correlation and accuracy of a model's folder on CoLA's two dev sets, or accuracy on SST-2's."""

import argparse
from pathlib import Path

import numpy as np
from sklearn.metrics import accuracy_score, matthews_corrcoef

from datasets import read_cola, read_sst2
from reference import Classifier


def predictions(classifier: Classifier, texts: list[str]) -> np.ndarray:
    """The likelier label of each text, every text computed alone."""
    return np.array([classifier.run([classifier.encode(text)])[0].argmax() for text in texts])


def report(name: str, truth: np.ndarray, said: np.ndarray) -> str:
    return (
        f"{name}: MCC {matthews_corrcoef(truth, said):.4f}, accuracy {accuracy_score(truth, said):.4f}, "
        f"{len(truth)} texts, {said.mean():.3f} said 1, {truth.mean():.3f} are"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", type=Path, nargs="+")
    data = parser.add_mutually_exclusive_group(required=True)
    data.add_argument("--cola", type=Path, help="folder with the two dev files")
    data.add_argument("--sst2", type=Path, help="folder with dev.tsv")
    options = parser.parse_args()
    if options.cola:
        sets = {
            "in-domain dev": read_cola(options.cola / "in_domain_dev.tsv"),
            "out-of-domain dev": read_cola(options.cola / "out_of_domain_dev.tsv"),
        }
    else:
        sets = {"dev": read_sst2(options.sst2 / "dev.tsv")}
    for folder in options.folders:
        classifier = Classifier(folder)
        truths, answers = [], []
        for name, rows in sets.items():
            truths.append(np.array([label for _, label in rows]))
            answers.append(predictions(classifier, [text for text, _ in rows]))
            print(f"{folder} {report(name, truths[-1], answers[-1])}", flush=True)
        if len(sets) > 1:
            print(f"{folder} {report('both', np.concatenate(truths), np.concatenate(answers))}", flush=True)


if __name__ == "__main__":
    main()
