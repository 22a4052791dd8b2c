"""Measures what the processor at hand makes of a quantized model's 8-bit products, beside exact sums.

The same file is run twice: as the server runs it, and with all graph optimisations off, when ONNX Runtime multiplies
the same quantized values as fp32, which never saturates. A file with 8-bit weights differs by much on an x86 without
VNNI; one with 7-bit weights only by single quantization steps. Exits with 1 when a score differs by more than --allow."""

import argparse
import sys
from pathlib import Path

import numpy as np
import onnxruntime

from datasets import read_cola
from make_parity import instructions
from reference import Classifier


def exact(classifier: Classifier) -> Classifier:
    """The same model, its products computed in fp32."""
    settings = onnxruntime.SessionOptions()
    settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    settings.intra_op_num_threads = 1
    classifier.session = onnxruntime.InferenceSession(str(classifier.file), settings, providers=["CPUExecutionProvider"])
    return classifier


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--cola", type=Path, required=True, help="folder with the two dev files")
    parser.add_argument("--allow", type=float, default=0.05)
    options = parser.parse_args()
    texts = [text for name in ("in_domain", "out_of_domain") for text, _ in read_cola(options.cola / f"{name}_dev.tsv")]
    failed = False
    for folder in options.folders:
        fast, slow = Classifier(folder), exact(Classifier(folder))
        encoded = [fast.encode(text) for text in texts]
        scores = [np.stack([one.scores(one.run([row])[0]) for row in encoded]) for one in (fast, slow)]
        difference = np.abs(scores[0] - scores[1]).max(-1)
        print(
            f"{folder} ({instructions()}): scores differ from exact sums by up to {difference.max():.2g}, "
            f"{difference.mean():.2g} on average; {(scores[0].argmax(-1) != scores[1].argmax(-1)).sum()} of {len(texts)} "
            "labels differ",
            flush=True,
        )
        failed |= bool(difference.max() > options.allow)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
