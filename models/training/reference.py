"""Runs a model's folder the way the server should: tokenize, truncate, one session, logits, scores."""

import json
from pathlib import Path

import numpy as np
import onnxruntime
from transformers import AutoTokenizer


class Classifier:
    """One folder in the Hugging Face layout. `encode` gives a text's input ids and types, `run` a run's logits."""

    def __init__(self, folder: Path, threads: int = 1, file: str | None = None):
        self.config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        self.tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        # RoBERTa's positions begin behind the padding's.
        self.first_position = self.tokenizer.pad_token_id + 1 if self.config["model_type"] == "roberta" else 0
        self.limit = min(self.tokenizer.model_max_length, self.config["max_position_embeddings"] - self.first_position)
        self.takes_pairs = "entailment" in self.config["label2id"]
        files = [file] if file else ["model_quantized.onnx", "model.onnx"]
        self.file = next(path for path in (folder / "onnx" / name for name in files) if path.exists())
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = threads
        settings.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(str(self.file), settings, providers=["CPUExecutionProvider"])
        self.inputs = {entry.name: entry for entry in self.session.get_inputs()}
        self.fixed = [size if isinstance(size, int) else None for size in self.inputs["input_ids"].shape]

    def encode(self, text: str, pair: str | None = None) -> tuple[list[int], list[int]]:
        """Input ids and token types, cut at `limit` from the right, a pair's longer half first."""
        encoded = self.tokenizer(
            text, pair, truncation="longest_first", max_length=self.limit, return_token_type_ids=True
        )
        return encoded["input_ids"], encoded["token_type_ids"]

    def run(self, encoded: list[tuple[list[int], list[int]]]) -> np.ndarray:
        """Logits [batch, labels] of one run, padded to its longest text."""
        logits = self.session.run(["logits"], self.feeds(encoded))[0]
        return logits[: len(encoded)].astype(np.float32)

    def feeds(self, encoded: list[tuple[list[int], list[int]]]) -> dict[str, np.ndarray]:
        """The session's inputs, each [batch, tokens], of the sizes and types that its file asks for."""
        rows, width = self.fixed
        width = width or max(len(ids) for ids, _ in encoded)
        if rows:
            encoded = (encoded * rows)[:rows]
        shape = (len(encoded), width)
        ids = np.full(shape, self.tokenizer.pad_token_id, dtype=np.int64)
        mask, types = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
        for row, (row_ids, row_types) in enumerate(encoded):
            ids[row, : len(row_ids)] = row_ids
            types[row, : len(row_types)] = row_types
            mask[row, : len(row_ids)] = 1
        positions = np.broadcast_to(np.arange(width, dtype=np.int64) + self.first_position, shape)
        feeds = {"input_ids": ids, "attention_mask": mask, "token_type_ids": types, "position_ids": positions}
        numbers = {"tensor(int64)": np.int64, "tensor(int32)": np.int32, "tensor(float)": np.float32}
        return {name: feeds[name].astype(numbers[entry.type]) for name, entry in self.inputs.items()}

    def scores(self, logits: np.ndarray) -> np.ndarray:
        """What the labels' scores are, in float64: softmax, sigmoid, or the number itself, after `problem_type`."""
        logits = logits.astype(np.float64)
        problem = self.config.get("problem_type") or "single_label_classification"
        if problem == "regression":
            return logits
        if problem == "multi_label_classification":
            return 1 / (1 + np.exp(-logits))
        powers = np.exp(logits - logits.max(-1, keepdims=True))
        return powers / powers.sum(-1, keepdims=True)
