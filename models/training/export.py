"""Writes a fine-tuned checkpoint as a model folder: config, tokenizer and onnx/model.onnx with the axes [batch, tokens]."""

import argparse
import json
from pathlib import Path

import onnx
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

OPSET = 17


class Logits(torch.nn.Module):
    """The classifier with positional inputs and a bare tensor as output, as the exporter wants it."""

    def __init__(self, model, names):
        super().__init__()
        self.model = model
        self.names = names

    def forward(self, *tensors):
        return self.model(**dict(zip(self.names, tensors))).logits


def export_onnx(model, names: list[str], path: Path) -> None:
    """Exports `model` (loaded with eager attention) in fp32; every input is int64 [batch, tokens], the output `logits` is float32 [batch, labels]."""
    model = model.eval()
    example = {name: torch.ones(2, 9, dtype=torch.int64) for name in names}
    if "attention_mask" in example:
        example["attention_mask"][1, 6:] = 0
    if "token_type_ids" in example:
        example["token_type_ids"][:] = 0
    axes = {name: {0: "batch", 1: "tokens"} for name in names}
    path.parent.mkdir(parents=True, exist_ok=True)
    with torch.no_grad():
        torch.onnx.export(
            Logits(model, names),
            tuple(example[name] for name in names),
            str(path),
            input_names=names,
            output_names=["logits"],
            dynamic_axes={**axes, "logits": {0: "batch"}},
            opset_version=OPSET,
            do_constant_folding=True,
            dynamo=False,
        )
    graph = onnx.load(str(path))
    for node in graph.graph.node:  # stack traces of the exporter: of no use to anyone who runs the model
        node.doc_string = ""
    onnx.checker.check_model(graph)
    onnx.save(graph, str(path))


def write_config(model, folder: Path) -> None:
    """config.json as `optimum` writes it, without the fields that speak of the exporting machine."""
    folder.mkdir(parents=True, exist_ok=True)
    config = model.config.to_diff_dict()
    for field in ("_name_or_path", "_attn_implementation_autoset", "dtype", "torch_dtype", "gradient_checkpointing"):
        config.pop(field, None)
    config["architectures"] = [type(model).__name__]
    config["max_position_embeddings"] = model.config.max_position_embeddings
    config["id2label"] = {str(index): label for index, label in model.config.id2label.items()}
    config["label2id"] = model.config.label2id
    (folder / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def write_tokenizer(tokenizer, folder: Path) -> None:
    """tokenizer.json, tokenizer_config.json and special_tokens_map.json; vocab.txt would only say the same again."""
    tokenizer.backend_tokenizer.no_truncation()
    tokenizer.backend_tokenizer.no_padding()
    for habit in ("max_length", "stride", "truncation_side", "truncation_strategy", "pad_to_multiple_of", "padding_side"):
        tokenizer.init_kwargs.pop(habit, None)
    tokenizer.save_pretrained(folder)
    (folder / "vocab.txt").unlink(missing_ok=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, required=True, help="folder written by train_cola.py or distill_sst2.py")
    parser.add_argument("--out", type=Path, required=True, help="the model's folder")
    options = parser.parse_args()
    model = AutoModelForSequenceClassification.from_pretrained(options.checkpoint, attn_implementation="eager")
    tokenizer = AutoTokenizer.from_pretrained(options.checkpoint)
    write_config(model, options.out)
    write_tokenizer(tokenizer, options.out)
    export_onnx(model, ["input_ids", "attention_mask", "token_type_ids"], options.out / "onnx" / "model.onnx")


if __name__ == "__main__":
    main()
