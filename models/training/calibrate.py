"""Sets a quantized model's scores right: a temperature and a bias, folded into its head, which quantization leaves in fp32.

They are fitted on every tenth sentence of CoLA's train set, which the other scripts do not learn from: the cross-entropy of
the labels is least. Dev sentences are not read. Run once on a file: a second run finds a temperature of 1."""

import argparse
import json
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper
from sklearn.linear_model import LogisticRegression

from datasets import split_cola
from reference import Classifier


def fit(margins: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Scale and bias of the margins [texts] (second logit minus first) that make the labels likeliest."""
    fitted = LogisticRegression(C=1e6).fit(margins[:, None], labels)
    return float(fitted.coef_[0, 0]), float(fitted.intercept_[0])


def fold(graph: onnx.GraphProto, scale: float, bias: float) -> None:
    """Multiplies the head's logits by `scale` and adds half of `bias` to the second, and takes it from the first."""
    head = next(node for node in graph.node if "logits" in node.output)
    for tensor in graph.initializer:
        if tensor.name in head.input[1:]:
            values = numpy_helper.to_array(tensor) * scale
            if values.ndim == 1:
                values += np.array([-bias / 2, bias / 2])
            tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float32), tensor.name))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="the model's folder, with onnx/model_quantized.onnx in it")
    parser.add_argument("--cola", type=Path, required=True, help="folder with in_domain_train.tsv")
    options = parser.parse_args()
    classifier = Classifier(options.folder)
    held = split_cola(options.cola / "in_domain_train.tsv")[1]
    logits = np.concatenate([classifier.run([classifier.encode(text)]) for text, _ in held])
    labels = np.array([label for _, label in held])
    scale, bias = fit(logits[:, 1] - logits[:, 0], labels)
    model = onnx.load(str(classifier.file))
    fold(model.graph, scale, bias)
    onnx.checker.check_model(model)
    onnx.save(model, str(classifier.file))
    print(json.dumps({"texts": len(held), "temperature": round(1 / scale, 3), "bias": round(bias, 3)}))


if __name__ == "__main__":
    main()
