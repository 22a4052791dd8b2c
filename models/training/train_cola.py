"""Fine-tunes a BERT on CoLA with soft targets: its own labels mixed with what twenty teachers said of its sentences, and
made sentences with the teachers' answers alone. Reads no dev file but to print what the model scores there."""

import argparse
import json
import math
from pathlib import Path

import numpy as np
import torch
from sklearn.metrics import matthews_corrcoef
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from datasets import read_cola, read_soft_pool, read_soft_train, split_cola
from fine_tuning import add_training_options, cross_entropy, predict, train
from rounding import rounded_at_the_end

LABELS = {0: "unacceptable", 1: "acceptable"}


def load_model(start: Path | str, labels: dict[int, str], options):
    """A BERT with a head for `labels`, from a checkpoint's folder, and its tokenizer."""
    model = AutoModelForSequenceClassification.from_pretrained(
        start,
        local_files_only=True,
        num_labels=len(labels),
        id2label=labels,
        label2id={label: index for index, label in labels.items()},
        problem_type="single_label_classification",
        hidden_dropout_prob=options.dropout,
        attention_probs_dropout_prob=options.dropout,
        classifier_dropout=options.dropout,
        # PyTorch's own attention runs backwards in bf16 four times slower than its parts one by one.
        attn_implementation="eager" if options.bf16 else "sdpa",
    )
    return model, AutoTokenizer.from_pretrained(start, model_max_length=512, local_files_only=True)


def add_cola_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--cola", type=Path, required=True, help="folder with the CoLA files")
    parser.add_argument("--times", type=int, default=4, help="how often each train sentence is read in an epoch")
    parser.add_argument("--pool", type=int, default=200_000, help="made sentences that are read at most, evenly from all")
    parser.add_argument("--gold", type=float, default=0.4, help="weight of a train sentence's own label; the rest is the teachers'")


def soft_rows(options) -> list[tuple[str, float]]:
    """Sentences to learn from, and the chance of "acceptable" that is wanted for each."""
    learned, held = split_cola(options.cola / "in_domain_train.tsv")
    soft = read_soft_train()
    own = [(text, options.gold * label + (1 - options.gold) * soft[text]) for text, label in learned]
    kept_back = {text for text, _ in held}
    pool = [row for row in read_soft_pool() if row[0] not in kept_back]
    return own * options.times + pool[:: math.ceil(len(pool) / options.pool)]


def targets_of(chances: list[float]) -> np.ndarray:
    """Targets [texts, 2] of chances of the second label."""
    return np.array([(1 - chance, chance) for chance in chances], dtype=np.float32)


def reporter(model, tokenizer, options):
    """What `train` calls after each epoch: prints how good the model is, and keeps it."""
    sets = {
        "held_out_mcc": split_cola(options.cola / "in_domain_train.tsv")[1],
        "in_domain_dev_mcc": read_cola(options.cola / "in_domain_dev.tsv"),
    }

    def on_epoch(epoch: int, loss: float, seconds: float) -> None:
        line = {"epoch": epoch, "loss": round(loss, 4), "seconds": round(seconds)}
        for name, rows in sets.items():
            said = predict(model, tokenizer([text for text, _ in rows])["input_ids"]).argmax(-1)
            line[name] = round(float(matthews_corrcoef([label for _, label in rows], said)), 4)
        print(json.dumps(line), flush=True)
        model.save_pretrained(options.out)
        tokenizer.save_pretrained(options.out)

    return on_epoch


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_cola_options(parser)
    parser.add_argument("--start", type=Path, required=True, help="checkpoint to start from, written by learn_errors.py")
    parser.add_argument("--out", type=Path, required=True, help="folder for the last epoch's checkpoint")
    add_training_options(parser, epochs=1, rate=8e-5, batch=64)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    model, tokenizer = load_model(options.start, LABELS, options)
    texts, chances = zip(*soft_rows(options))
    rows = tokenizer(list(texts))["input_ids"]
    print(json.dumps({"texts": len(rows), "tokens": sum(map(len, rows))}), flush=True)
    lengths = list(map(len, rows))
    loss_of = rounded_at_the_end(model, cross_entropy(model, rows, targets_of(chances)), options.rounded, lengths, options)
    train(model, lengths, loss_of, options, reporter(model, tokenizer, options))


if __name__ == "__main__":
    main()
