"""Texts to scores with ONNX Runtime on one thread: the model's part of every Python server of this folder."""

import json
import os

import numpy as np
import onnxruntime
from tokenizers import Tokenizer


class Classifier:
    def __init__(self) -> None:
        folder = os.environ["MODEL"]
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(f"{folder}/onnx/model_quantized.onnx", options)
        self.inputs = [one.name for one in self.session.get_inputs()]
        self.tokenizer = Tokenizer.from_file(f"{folder}/tokenizer.json")
        with open(f"{folder}/config.json", encoding="utf8") as file:
            config = json.load(file)
        self.tokenizer.enable_truncation(config["max_position_embeddings"])
        self.tokenizer.enable_padding()
        self.labels = [config["id2label"][str(index)] for index in range(len(config["id2label"]))]

    def __call__(self, texts: list[str]) -> list[list[dict]]:
        encoded = self.tokenizer.encode_batch_fast(texts)
        columns = {"input_ids": "ids", "attention_mask": "attention_mask", "token_type_ids": "type_ids"}
        feed = {name: np.array([getattr(one, columns[name]) for one in encoded], np.int64) for name in self.inputs}
        (logits,) = self.session.run(["logits"], feed)
        exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
        scores = exponents / exponents.sum(axis=1, keepdims=True)
        return [self._ranked(row) for row in scores.tolist()]

    def _ranked(self, scores: list[float]) -> list[dict]:
        pairs = sorted(zip(self.labels, scores, strict=True), key=lambda pair: -pair[1])
        return [{"label": label, "score": score} for label, score in pairs]
