"""Makes a six-layer model out of the twelve layers that `train_sst2.py` wrote: on SST-2's phrases, and on mixes of them for
which the twelve layers' own answers are the targets. Dev sentences are only ever read to be scored."""

import argparse
import json
import math
import random
from pathlib import Path

import torch

from datasets import read_sst2, whole_sentences
from fine_tuning import add_training_options, one_hot, predict, train
from halving import add_halving_options, halved, imitation
from rounding import rounded_at_the_end
from train_cola import load_model
from train_sst2 import LABELS

JOINTS = ["but", "and", "although", "yet", ", but", "while", "even though", "or", "because", ";"]


def mix(phrases: list[str], sentences: list[str], words: list[str], dice: random.Random) -> str:
    """Two phrases joined, a span of a sentence, or a sentence with words left out and one exchanged."""
    kind = dice.random()
    if kind < 0.4:
        return f"{dice.choice(phrases)} {dice.choice(JOINTS)} {dice.choice(phrases)}"
    parts = dice.choice(sentences).split()
    if kind < 0.7:
        size = dice.randint(min(4, len(parts)), len(parts))
        start = dice.randint(0, len(parts) - size)
        return " ".join(parts[start : start + size])
    kept = [word for word in parts if dice.random() > 0.15] or parts
    kept[dice.randrange(len(kept))] = dice.choice(words)
    return " ".join(kept)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sst2", type=Path, required=True, help="folder with the SST-2 files")
    parser.add_argument("--teacher", type=Path, required=True, help="folder written by train_sst2.py")
    parser.add_argument("--out", type=Path, required=True, help="folder for the last epoch's checkpoint")
    parser.add_argument("--start", type=Path, help="six layers of an earlier run to go on from, instead of the teacher's")
    parser.add_argument("--phrases", type=int, default=200_000, help="phrases that are read at most, evenly from all")
    parser.add_argument("--mixes", type=int, default=60_000)
    parser.add_argument("--gold", type=float, default=0.3, help="weight of a phrase's own label; the rest is the teacher's")
    add_halving_options(parser)
    add_training_options(parser, epochs=1, rate=1.5e-4, batch=64)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    teacher, tokenizer = load_model(options.teacher, LABELS, options)
    student = load_model(options.start, LABELS, options)[0] if options.start else halved(teacher)
    learned = read_sst2(options.sst2 / "train.tsv")
    phrases = [text for text, _ in learned]
    sentences = [text for text, _ in whole_sentences(learned)]
    words = [word for text in sentences for word in text.split()]
    dice = random.Random(options.seed)
    mixes = [mix(phrases, sentences, words, dice) for _ in range(options.mixes)]
    chosen = learned[:: math.ceil(len(learned) / options.phrases)]
    rows = tokenizer([text for text, _ in chosen] + mixes, truncation=True, max_length=64)["input_ids"]
    targets = one_hot([label for _, label in chosen] + [0] * len(mixes))
    trust = [options.gold] * len(chosen) + [0.0] * len(mixes)
    lengths = list(map(len, rows))
    print(json.dumps({"texts": len(rows), "tokens": sum(lengths)}), flush=True)
    dev = read_sst2(options.sst2 / "dev.tsv")
    dev_rows = tokenizer([text for text, _ in dev])["input_ids"]

    def on_epoch(epoch: int, loss: float, seconds: float) -> None:
        right = float((predict(student, dev_rows).argmax(-1) == [label for _, label in dev]).mean())
        line = {"epoch": epoch, "loss": round(loss, 4), "seconds": round(seconds), "dev_accuracy": round(right, 4)}
        print(json.dumps(line), flush=True)
        student.save_pretrained(options.out)
        tokenizer.save_pretrained(options.out)

    loss_of = imitation(student, teacher, rows, targets, trust, options)
    loss_of = rounded_at_the_end(student, loss_of, options.rounded, lengths, options)
    train(student, lengths, loss_of, options, on_epoch)


if __name__ == "__main__":
    main()
