"""Makes a six-layer model out of the twelve layers that `train_cola.py` wrote, on the same soft targets and on plain
sentences with and without errors, for which the twelve layers' own answers are the targets."""

import argparse
import json
import random
from pathlib import Path

import torch

from corrupt import Corrupter
from datasets import read_sentences
from fine_tuning import add_training_options, train
from halving import add_halving_options, halved, imitation
from rounding import rounded_at_the_end
from train_cola import LABELS, add_cola_options, load_model, reporter, soft_rows, targets_of


def more_texts(count: int, whole: float, dice: random.Random) -> list[str]:
    """`count` plain sentences, with the chance `whole` as they are, else with an error."""
    sentences = read_sentences()
    corrupter = Corrupter(sentences)
    chosen = dice.sample(sentences, min(count, len(sentences)))
    return [(None if dice.random() < whole else corrupter.corrupt(text, dice)) or text for text in chosen]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_cola_options(parser)
    parser.add_argument("--teacher", type=Path, required=True, help="folder written by train_cola.py")
    parser.add_argument("--out", type=Path, required=True, help="folder for the last epoch's checkpoint")
    parser.add_argument("--start", type=Path, help="six layers of an earlier run to go on from, instead of the teacher's")
    parser.add_argument("--more", type=int, default=50_000, help="plain sentences with the teacher's own answers")
    parser.add_argument("--whole", type=float, default=0.35, help="chance of a plain sentence to be left as it is")
    add_halving_options(parser)
    add_training_options(parser, epochs=2, rate=1.5e-4, batch=64)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    teacher, tokenizer = load_model(options.teacher, LABELS, options)
    student = load_model(options.start, LABELS, options)[0] if options.start else halved(teacher)
    texts, chances = map(list, zip(*soft_rows(options)))
    more = more_texts(options.more, options.whole, random.Random(options.seed))
    targets = targets_of(chances + [0.5] * len(more))
    trust = [1.0] * len(texts) + [0.0] * len(more)
    rows = tokenizer(texts + more)["input_ids"]
    lengths = list(map(len, rows))
    print(json.dumps({"texts": len(rows), "tokens": sum(lengths)}), flush=True)
    loss_of = imitation(student, teacher, rows, targets, trust, options)
    loss_of = rounded_at_the_end(student, loss_of, options.rounded, lengths, options)
    train(student, lengths, loss_of, options, reporter(student, tokenizer, options))


if __name__ == "__main__":
    main()
