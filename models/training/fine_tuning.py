"""The training loop of all our classifiers: even batches, AdamW with warm-up, targets that may be soft."""

import argparse
import json
import math
import random
import time

import numpy as np
import torch


def add_training_options(parser: argparse.ArgumentParser, epochs: int, rate: float, batch: int) -> None:
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=epochs)
    parser.add_argument("--rate", type=float, default=rate, help="highest learning rate, of the top layer")
    parser.add_argument("--batch", type=int, default=batch)
    parser.add_argument("--warmup", type=float, default=0.1, help="share of all steps")
    parser.add_argument("--weight-decay", type=float, default=0.01)
    parser.add_argument("--layer-decay", type=float, default=1.0, help="each layer learns so much slower than the one above")
    parser.add_argument("--smoothing", type=float, default=0.0, help="share of a target that is spread over all labels")
    parser.add_argument("--dropout", type=float, default=0.1)
    parser.add_argument("--train-words", action="store_true", help="learn the word embeddings too; else they stay as they are")
    parser.add_argument("--bf16", action="store_true", help="multiply in bf16: three times as fast on a processor with AVX-512 BF16")
    parser.add_argument("--rounded", type=float, default=0.0, help="share of the steps, the last ones, with activations as in int8")
    parser.add_argument("--threads", type=int, default=2)


def one_hot(labels: list[int], smoothing: float = 0.0) -> np.ndarray:
    """Targets [texts, 2] of gold labels."""
    return (np.eye(2, dtype=np.float32)[labels] * (1 - smoothing) + smoothing / 2).astype(np.float32)


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


@torch.no_grad()
def predict(model, rows: list[list[int]], batch: int = 64) -> np.ndarray:
    """Logits [texts, 2]."""
    model.eval()
    order = sorted(range(len(rows)), key=lambda index: len(rows[index]))
    logits = np.zeros((len(rows), 2), dtype=np.float32)
    for start in range(0, len(order), batch):
        chosen = order[start : start + batch]
        logits[chosen] = model(**pad([rows[index] for index in chosen])).logits.numpy()
    return logits


def cross_entropy(model, rows: list[list[int]], targets: np.ndarray, change=lambda given: given):
    """The mean loss of a batch, given its texts' numbers, against `targets` [texts, 2]; `change` may alter the inputs."""
    targets = torch.from_numpy(targets)

    def loss_of(batch: list[int]) -> torch.Tensor:
        logits = model(**change(pad([rows[index] for index in batch]))).logits
        return -(targets[batch] * torch.log_softmax(logits, -1)).sum(-1).mean()

    return loss_of


def train(model, lengths: list[int], loss_of, options, on_epoch) -> None:
    """AdamW on `loss_of` batches of texts of like length; linear warm-up and decay. `on_epoch` hears of each epoch's end."""
    shuffle = random.Random(options.seed)
    model.get_input_embeddings().requires_grad_(options.train_words)
    optimizer = torch.optim.AdamW(parameter_groups(model, options), betas=(0.9, 0.98), eps=1e-6, fused=True)
    total = steps_of(lengths, options)
    step = 0
    for epoch in range(options.epochs):
        model.train()
        began, losses = time.time(), []
        for batch in even_batches(lengths, options.batch, shuffle):
            factor = min((step + 1) / max(1, options.warmup * total), (total - step) / ((1 - options.warmup) * total))
            for group in optimizer.param_groups:
                group["lr"] = group["base"] * factor
            with torch.autocast("cpu", torch.bfloat16, enabled=options.bf16):
                loss = loss_of(batch)
            optimizer.zero_grad(set_to_none=False)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            losses.append(loss.item())
            step += 1
            if step % 100 == 0:
                said = {"step": step, "of": total, "loss": round(float(np.mean(losses[-100:])), 4)}
                print(json.dumps(said | {"seconds": round(time.time() - began)}), flush=True)
        on_epoch(epoch + 1, float(np.mean(losses)), time.time() - began)


def steps_of(lengths: list[int], options) -> int:
    """How many batches `train` makes in all."""
    return options.epochs * math.ceil(len(lengths) / options.batch)


def parameter_groups(model, options) -> list[dict]:
    """AdamW groups: no weight decay on biases and norms; each layer below the top learns `layer_decay` times slower."""
    layers = model.config.num_hidden_layers
    groups: dict[tuple[float, float], list] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        if ".layer." in name:
            below = layers - 1 - int(name.split(".layer.")[1].split(".")[0])
        else:
            below = layers if "embeddings" in name else 0
        decay = options.weight_decay if parameter.dim() > 1 else 0.0
        groups.setdefault((options.rate * options.layer_decay**below, decay), []).append(parameter)
    return [{"params": params, "lr": rate, "weight_decay": decay, "base": rate} for (rate, decay), params in groups.items()]


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
