"""Makes test/fixtures/kinds: a tiny classifier for each kind of ONNX file that the runtime takes, with what Python's
onnxruntime says to some texts, and graphs that it must refuse. Weights are random, from a fixed seed."""

import argparse
import json
import math
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper
from onnxruntime.quantization import QuantType, quantize_dynamic
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertConfig,
    BertTokenizerFast,
    RobertaConfig,
)

from awkward import AWKWARD, LONG
from datasets import read_cola
from export import export_onnx, write_config, write_tokenizer
from make_fixtures import choose_vocabulary, make_tokenizer, spread_logits
from make_parity import nine_digits
from quantize import quantize, spread_texts
from reference import Classifier

LIMIT = 64
LABELS = ["no", "maybe", "yes"]
NAMES = ["input_ids", "attention_mask", "token_type_ids"]
FIXED_TEXTS = 4


def build(config_class, vocabulary: int, pad: int, positions: int):
    """Two layers of hidden size 16, with weights wide enough that texts differ."""
    config = config_class(
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        vocab_size=vocabulary,
        max_position_embeddings=positions,
        id2label=dict(enumerate(LABELS)),
        label2id={label: index for index, label in enumerate(LABELS)},
        problem_type="single_label_classification",
        pad_token_id=pad,
    )
    torch.manual_seed(7)
    model = AutoModelForSequenceClassification.from_config(config, attn_implementation="eager")
    for parameter in model.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=1.0 / math.sqrt(parameter.shape[-1]))
    return model.eval()


def edited(path: Path, edit) -> None:
    """Loads a graph, lets `edit` change it, and writes it back if it is still right."""
    model = onnx.load(str(path))
    edit(model.graph)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


def fix_sizes(texts: int | None, tokens: int | None):
    def edit(graph):
        for value in [*graph.input, *graph.output]:
            dimensions = value.type.tensor_type.shape.dim
            if texts:
                dimensions[0].dim_value = texts
            if tokens and value.name != "logits":
                dimensions[1].dim_value = tokens

    return edit


def take_int32(graph) -> None:
    """The inputs become int32, and are cast to what the graph goes on with."""
    casts = []
    for value in graph.input:
        inside = f"{value.name}_64"
        for node in graph.node:
            node.input[:] = [inside if name == value.name else name for name in node.input]
        value.type.tensor_type.elem_type = TensorProto.INT32
        casts.append(helper.make_node("Cast", [value.name], [inside], to=TensorProto.INT64))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


def show_more(graph) -> None:
    """A first output that is not the logits: what goes into the last layer."""
    last = next(node for node in graph.node if "logits" in node.output)
    logits = graph.output.pop()
    graph.output.extend([helper.make_tensor_value_info(last.input[0], TensorProto.FLOAT, ["batch", 16]), logits])


def write_model(folder: Path, model, tokenizer, names=NAMES, edit=None, half: bool = False) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    write_config(model, folder)
    write_tokenizer(tokenizer, folder)
    path = folder / "onnx" / "model.onnx"
    export_onnx(model.half() if half else model, names, path)
    if half:
        model.float()
    if edit:
        edited(path, edit)
    return path


def write_quantized(folder: Path, texts: list[str], static: bool) -> None:
    """Weights of 7 bits, so that every processor adds them alike."""
    source, target = folder / "onnx" / "model.onnx", folder / "onnx" / "model_quantized.onnx"
    if static:
        options = SimpleNamespace(
            skip=["/classifier/", "/pooler/"], quantize_attention=False, reduce_range=True, threads=1
        )
        quantize(folder, spread_texts(texts, 64, 2), options)
    else:
        quantize_dynamic(str(source), str(target), weight_type=QuantType.QInt8, reduce_range=True)
    source.unlink()


def write_reference(folder: Path, texts: list[str]) -> None:
    classifier = Classifier(folder)
    cases = []
    for text in texts:
        ids, types = classifier.encode(text)
        logits = classifier.run([(ids, types)])[0]
        cases.append({"text": text, "ids": ids, "logits": nine_digits(logits)})
    rows = ",\n".join("  " + json.dumps(case) for case in cases)
    head = json.dumps({"limit": classifier.limit, "labels": LABELS})[:-1]
    (folder / "python.json").write_text(f'{head},\n "cases": [\n{rows}\n ]}}\n', encoding="ascii")


def write_refused(folder: Path) -> None:
    """Graphs of a few nodes that are no text classifiers, each in its own way."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    ids = helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "tokens"])
    pixels = helper.make_tensor_value_info("pixel_values", TensorProto.FLOAT, ["batch", "tokens"])
    yes_no = helper.make_tensor_value_info("attention_mask", TensorProto.BOOL, ["batch", "tokens"])
    flat = helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["tokens"])
    axes = helper.make_tensor("axes", TensorProto.INT64, [1], [1])
    columns = lambda count: helper.make_tensor("columns", TensorProto.INT64, [2], [1, count])
    cast = helper.make_node("Cast", ["input_ids"], ["numbers"], to=TensorProto.FLOAT)
    mean = helper.make_node("ReduceMean", ["numbers"], ["mean"], axes=[1], keepdims=1)
    tile = helper.make_node("Tile", ["mean", "columns"], ["logits"])

    def write(name: str, inputs, nodes, output, shape, initializers=()):
        value = helper.make_tensor_value_info(output, TensorProto.FLOAT, shape)
        graph = helper.make_graph(nodes, name, inputs, [value], list(initializers))
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.checker.check_model(model)
        onnx.save(model, str(folder / f"{name}.onnx"))

    write("two-labels", [ids], [cast, mean, tile], "logits", ["batch", 2], [columns(2)])
    every = helper.make_node("Cast", ["input_ids"], ["logits"], to=TensorProto.FLOAT)
    write("as-many-as-tokens", [ids], [every], "logits", ["batch", "labels"])
    write("strange-input", [ids, pixels], [cast, mean, tile], "logits", ["batch", 3], [columns(3)])
    write("boolean-mask", [ids, yes_no], [cast, mean, tile], "logits", ["batch", 3], [columns(3)])
    write("no-ids", [pixels], [helper.make_node("Identity", ["pixel_values"], ["logits"])], "logits", ["batch", "tokens"])
    write("no-logits", [ids], [cast], "numbers", ["batch", "tokens"])
    of_each = helper.make_node("Unsqueeze", ["numbers", "axes"], ["logits"])
    write("logits-of-tokens", [ids], [cast, of_each], "logits", ["batch", 1, "tokens"], [axes])
    write("one-dimension", [flat], [every], "logits", ["tokens"])
    (folder / "no-onnx.onnx").write_bytes(b"not a graph")
    few = helper.make_tensor("few", TensorProto.FLOAT, [8, 3], [float(value) for value in np.arange(24)])
    gather = helper.make_node("Gather", ["few", "input_ids"], ["rows"])
    sums = helper.make_node("ReduceMean", ["rows"], ["logits"], axes=[1], keepdims=0)
    write("few-tokens", [ids], [gather, sums], "logits", ["batch", 3], [few])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cola", type=Path, required=True, help="folder with in_domain_train.tsv and in_domain_dev.tsv")
    parser.add_argument("--roberta", type=Path, default=Path("test/fixtures/tokenizers/roberta"), help="a tokenizer made by make_tokenizers.py")
    parser.add_argument("--out", type=Path, default=Path("test/fixtures/kinds"))
    options = parser.parse_args()
    train = [sentence for sentence, _ in read_cola(options.cola / "in_domain_train.tsv")]
    dev = [sentence for sentence, _ in read_cola(options.cola / "in_domain_dev.tsv")]
    texts = [*AWKWARD[::3], *(text[:600] for text in LONG), *dev[:60]]

    tokenizer = BertTokenizerFast(tokenizer_object=make_tokenizer(choose_vocabulary(train, 600)), do_lower_case=True, model_max_length=LIMIT)
    model = build(BertConfig, len(tokenizer), 0, LIMIT)
    spread_logits(model, tokenizer, train[:256], None)
    kinds = {
        "positions": dict(names=["input_ids", "attention_mask", "position_ids"]),
        "ids-alone": dict(names=["input_ids"]),
        "several-outputs": dict(edit=show_more),
        "int32": dict(edit=take_int32),
        "one-text": dict(edit=fix_sizes(1, LIMIT)),
        "four-texts": dict(edit=fix_sizes(FIXED_TEXTS, None)),
        "half": dict(half=True),
        "int8-dynamic": {},
        "int8-static": {},
    }
    for name, kind in kinds.items():
        folder = options.out / name
        write_model(folder, model, tokenizer, **kind)
        if name.startswith("int8"):
            write_quantized(folder, train, static=name.endswith("static"))
        write_reference(folder, texts)

    bytes_tokenizer = AutoTokenizer.from_pretrained(options.roberta, model_max_length=LIMIT)
    roberta = build(RobertaConfig, len(bytes_tokenizer), 1, LIMIT + 2)
    write_model(options.out / "roberta", roberta, bytes_tokenizer, names=["input_ids", "attention_mask"])
    write_reference(options.out / "roberta", texts)
    write_refused(options.out / "refused")
    for folder in sorted(options.out.iterdir()):
        for extra in ("vocab.json", "merges.txt"):
            (folder / extra).unlink(missing_ok=True)
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        print(f"{folder.name}: {size / 1024:.0f} KB")


if __name__ == "__main__":
    main()
