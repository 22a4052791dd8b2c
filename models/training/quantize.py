"""Static int8 quantization of a model's folder: onnx/model.onnx becomes onnx/model_quantized.onnx.

Activations are u8 with ranges fixed by calibration, so a text's score cannot depend on its neighbours; weights are s8
per output channel, of which seven bits are used, so that the sums fit where a processor adds them in 16 bits. What is
added to the attention scores for padding (the smallest float) must not enter a quantized range: only the inputs of MatMul,
Gemm and Gather are quantized, never a sum that Softmax reads, and the script refuses to write a graph where some scale is
absurd."""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from datasets import read_cola, read_sst2, whole_sentences
from reference import Classifier

LARGEST_RANGE = 1000.0


class Texts(CalibrationDataReader):
    """Feeds one text at a time: no padding, so no masked position is ever calibrated on."""

    def __init__(self, classifier: Classifier, texts: list[str]):
        self.feeds = iter([classifier.feeds([classifier.encode(text)]) for text in texts])

    def get_next(self):
        return next(self.feeds, None)


def spread_texts(texts: list[str], count: int, long: int) -> list[str]:
    """`count` texts evenly from the list and `long` paragraphs of growing length joined from it, up to the model's limit."""
    step = max(1, len(texts) // count)
    chosen = texts[::step][:count]
    paragraphs = [" ".join(texts[at * 60 : at * 60 + 4 + at * 60 // max(1, long)]) for at in range(long)]
    return chosen + paragraphs


def activation_products(graph: onnx.GraphProto) -> list[str]:
    """Names of the MatMuls of two activations: scores by keys, and weights by values."""
    constants = {tensor.name for tensor in graph.initializer}
    return [node.name for node in graph.node if node.op_type == "MatMul" and not constants & set(node.input)]


def check_ranges(graph: onnx.GraphProto) -> None:
    """Refuses a graph where an activation's range is so wide that a mask must have got into it."""
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "QuantizeLinear":
            width = float(np.max(values[node.input[1]])) * 255
            if width > LARGEST_RANGE:
                raise SystemExit(f"{node.name}: the range of {node.input[0]} is {width:.3g}; a mask must have got into it")


def quantize(folder: Path, texts: list[str], options) -> Path:
    """Writes onnx/model_quantized.onnx beside onnx/model.onnx and returns its path."""
    source, target = folder / "onnx" / "model.onnx", folder / "onnx" / "model_quantized.onnx"
    with tempfile.TemporaryDirectory() as scratch:
        prepared = Path(scratch) / "prepared.onnx"
        # Symbolic shape inference does not get through the mask's Expand; ONNX's own is enough for these graphs.
        quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
        graph = onnx.load(str(prepared)).graph
        skipped = [node.name for node in graph.node if any(part in node.name for part in options.skip)]
        if not options.quantize_attention:
            skipped += activation_products(graph)
        quantize_static(
            str(prepared),
            str(target),
            Texts(Classifier(folder, threads=options.threads, file="model.onnx"), texts),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["MatMul", "Gemm", "Gather"],
            per_channel=True,
            reduce_range=options.reduce_range,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=skipped,
            # The other methods collect histograms, which ONNX Runtime cannot do for texts of different lengths.
            calibrate_method=CalibrationMethod.MinMax,
            extra_options={
                "OpTypesToExcludeOutputQuantization": ["MatMul", "Gemm"],
                "ActivationSymmetric": False,
                "WeightSymmetric": True,
            },
        )
    check_ranges(onnx.load(str(target)).graph)
    return target


def texts_of(options) -> list[str]:
    """The texts to calibrate on, in the order of their file."""
    if options.lines:
        return [line.strip() for line in options.lines.read_text(encoding="utf-8").splitlines() if line.strip()]
    rows = read_cola(options.cola / "in_domain_train.tsv") if options.cola else read_sst2(options.sst2 / "train.tsv")
    if options.whole:
        rows = whole_sentences(rows)
    return [text for text, _ in rows]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="the model's folder, with onnx/model.onnx in it")
    data = parser.add_mutually_exclusive_group(required=True)
    data.add_argument("--cola", type=Path, help="calibrate on in_domain_train.tsv of this folder")
    data.add_argument("--sst2", type=Path, help="calibrate on train.tsv of this folder")
    data.add_argument("--lines", type=Path, help="calibrate on the lines of this text file")
    parser.add_argument("--whole", action="store_true", help="only texts that are part of no other: SST-2's sentences, not its phrases")
    parser.add_argument("--texts", type=int, default=240)
    parser.add_argument("--long", type=int, default=0, help="paragraphs besides, up to the model's longest")
    parser.add_argument("--skip", nargs="*", default=["/classifier/", "/pooler/"], help="parts of names of nodes to leave in fp32")
    parser.add_argument("--quantize-attention", action="store_true", help="also the products of two activations")
    parser.add_argument(
        "--reduce-range",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="7-bit weights: no product saturates on an x86 without VNNI (docs/decisions/0004)",
    )
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    texts = spread_texts(texts_of(options), options.texts, options.long)
    target = quantize(options.folder, [text for text in texts if text], options)
    print(f"{target}: {target.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
