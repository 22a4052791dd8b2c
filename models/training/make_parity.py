"""Writes test/fixtures/parity/MODEL.json: what Python's tokenizers and onnxruntime say to texts that are easy to get
wrong, so that the server's own tokenizing, truncating and scoring can be held against it. Every text is computed alone."""

import argparse
import hashlib
import json
import platform
from pathlib import Path

import numpy as np
import onnxruntime
import tokenizers
import transformers

from awkward import AWKWARD, LONG
from datasets import read_cola
from reference import Classifier

MAIN = {"cola", "sentiment", "tiny-fp32"}


def nine_digits(values: np.ndarray) -> list[float]:
    """Nine significant digits name a float32 exactly."""
    return [float(f"{value:.9g}") for value in values.ravel()]


def choose_cases(name: str, dev: list[str], takes_pairs: bool) -> list[tuple[str, str | None]]:
    """The awkward texts, then dev sentences; for a model of pairs, each beside its neighbour in that list."""
    texts = [*AWKWARD, *LONG, *(dev[:420] if name in MAIN else dev[:40])]
    if not takes_pairs:
        return [(text, None) for text in texts]
    return list(zip(texts, [*texts[1:], texts[0]]))


def truncations(classifier: Classifier, dev: list[str]) -> list[dict]:
    """Input ids cut from either side, for lengths around those of the texts, singles and pairs."""
    short, middle, long = dev[0], " ".join(dev[1:4]), " ".join(dev[4:30])
    singles = [(text, None) for text in (short, middle, long)]
    pairs = [(short, long), (long, short), (middle, long), (long, long), (short, short), ("", long), (long, "")]
    rows = []
    for side in ("right", "left"):
        classifier.tokenizer.truncation_side = side
        for text, pair in singles + pairs:
            for length in (8, 9, 16, 33, 64, 128):
                encoded = classifier.tokenizer(
                    text, pair, truncation="longest_first", max_length=length, return_token_type_ids=True
                )
                row = {"side": side, "max_length": length, "text": text, "ids": encoded["input_ids"]}
                if pair is not None:
                    row |= {"pair": pair, "types": encoded["token_type_ids"]}
                rows.append(row)
    classifier.tokenizer.truncation_side = "right"
    return rows


def reference(folder: Path, dev: list[str]) -> dict:
    classifier = Classifier(folder)
    cases = []
    for text, pair in choose_cases(folder.name, dev, classifier.takes_pairs):
        ids, types = classifier.encode(text, pair)
        logits = classifier.run([(ids, types)])[0]
        case = {"text": text, "ids": ids, "logits": nine_digits(logits), "scores": nine_digits(classifier.scores(logits))}
        if pair is not None:
            case |= {"pair": pair, "types": types}
        cases.append(case)
    return {
        "model": folder.name,
        "file": classifier.file.relative_to(folder).as_posix(),
        "sha256": hashlib.sha256(classifier.file.read_bytes()).hexdigest(),
        "made_with": {
            "instructions": instructions(),
            "onnxruntime": onnxruntime.__version__,
            "tokenizers": tokenizers.__version__,
            "transformers": transformers.__version__,
        },
        "limit": classifier.limit,
        "labels": list(classifier.config["id2label"].values()),
        "problem_type": classifier.config["problem_type"],
        "cases": cases,
        "truncation": truncations(classifier, dev),
    }


def instructions() -> str:
    """Which of ONNX Runtime's kernels for 8-bit products this processor gets; the parity test reads it the same way."""
    info = Path("/proc/cpuinfo")
    if platform.machine() not in ("x86_64", "AMD64") or not info.exists():
        return platform.machine()
    flags = next(line for line in info.read_text().splitlines() if line.startswith("flags")).split()
    if any(flag.endswith("_vnni") for flag in flags):
        return "vnni"
    return next((name for flag, name in (("avx512bw", "avx512"), ("avx2", "avx2")) if flag in flags), "sse")


def write(path: Path, content: dict) -> None:
    """One case a line, so that a changed score is one changed line; everything that is not ASCII is escaped."""
    lists = {name: content.pop(name) for name in ("cases", "truncation")}
    head = json.dumps(content, indent=1)[:-2]
    body = [f' "{name}": [\n' + ",\n".join("  " + json.dumps(row) for row in rows) + "\n ]" for name, rows in lists.items()]
    path.write_text(head + ",\n" + ",\n".join(body) + "\n}\n", encoding="ascii")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", type=Path, nargs="+", help="models' folders")
    parser.add_argument("--cola", type=Path, required=True, help="folder with the two dev files")
    parser.add_argument("--out", type=Path, default=Path("test/fixtures/parity"))
    options = parser.parse_args()
    # Half of each, by turns, so that short lists have both kinds.
    halves = [[text for text, _ in read_cola(options.cola / f"{name}_dev.tsv")] for name in ("in_domain", "out_of_domain")]
    dev = [text for both in zip(*halves) for text in both]
    options.out.mkdir(parents=True, exist_ok=True)
    for folder in options.folders:
        content = reference(folder, dev)
        path = options.out / f"{folder.name}.json"
        count = len(content["cases"])
        write(path, content)
        print(f"{path}: {count} cases, {path.stat().st_size / 1024:.0f} KB", flush=True)


if __name__ == "__main__":
    main()
