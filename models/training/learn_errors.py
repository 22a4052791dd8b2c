"""Prepares e5-small-v2 for CoLA: finds errors that were put into good sentences, so that a model which was trained for
meaning looks at form again. It says of every sentence whether it is whole, and of every word whether it stands at an
error; the second teaches more, for a sentence has one label but many words. Reads no dev file."""

import argparse
import json
import random
from difflib import SequenceMatcher
from pathlib import Path

import torch

from corrupt import Corrupter
from datasets import read_sentences, split_cola
from fine_tuning import add_training_options, pad, train
from train_cola import LABELS, load_model


def marks_of(good: list[str], bad: list[str]) -> list[int]:
    """1 for each word of `bad` that was changed or put in, or that follows a gap; 0 for the others."""
    marks = [0] * len(bad)
    for kind, _, _, start, end in SequenceMatcher(None, good, bad, autojunk=False).get_opcodes():
        if kind != "equal":
            for at in range(start, max(end, start + 1)):
                marks[min(at, len(bad) - 1)] = 1
    return marks


def marked(sentences: list[str], corrupter: Corrupter, whole: float, dice: random.Random) -> list[tuple[list[str], list[int]]]:
    """Words and marks of each sentence: as it is with the chance `whole`, else with an error."""
    rows = []
    for sentence in sentences:
        words = sentence.split()
        bad = None if dice.random() < whole else corrupter.corrupt(sentence, dice)
        rows.append((bad.split(), marks_of(words, bad.split())) if bad else (words, [0] * len(words)))
    return rows


def encode(tokenizer, rows: list[tuple[list[str], list[int]]]) -> tuple[list[list[int]], list[list[int]]]:
    """Input ids, and each token's mark: its word's, or -1 for [CLS] and [SEP]."""
    encoded = tokenizer([words for words, _ in rows], is_split_into_words=True)
    marks = [
        [-1 if word is None else row_marks[word] for word in encoded.word_ids(at)] for at, (_, row_marks) in enumerate(rows)
    ]
    return encoded["input_ids"], marks


def error_finding(model, ids: list[list[int]], marks: list[list[int]], word_weight: float):
    """The loss of a batch: is each sentence whole, and where are its errors?"""
    finder = model.finder = torch.nn.Linear(model.config.hidden_size, 1)

    def loss_of(batch: list[int]) -> torch.Tensor:
        given = pad([ids[index] for index in batch])
        hidden, pooled = model.bert(**given, return_dict=False)
        wanted = torch.full(given["input_ids"].shape, -1.0)
        for at, index in enumerate(batch):
            wanted[at, : len(marks[index])] = torch.tensor(marks[index], dtype=torch.float32)
        known = wanted >= 0
        whole = (wanted < 1).all(1).long()
        of_sentences = torch.nn.functional.cross_entropy(model.classifier(model.dropout(pooled)), whole)
        found = finder(model.dropout(hidden)).squeeze(-1)
        of_words = torch.nn.functional.binary_cross_entropy_with_logits(found[known], wanted[known])
        return of_sentences + word_weight * of_words

    return loss_of


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cola", type=Path, required=True, help="folder with the CoLA files")
    parser.add_argument("--out", type=Path, required=True, help="folder for the checkpoint")
    parser.add_argument("--start", type=Path, required=True, help="checkpoint to start from, written by read_e5.py")
    parser.add_argument("--times", type=int, default=8, help="how often each of CoLA's acceptable sentences is read in an epoch")
    parser.add_argument("--whole", type=float, default=0.35, help="chance of a sentence to be left as it is")
    parser.add_argument("--word-weight", type=float, default=3.0, help="of the loss of words beside that of sentences")
    add_training_options(parser, epochs=1, rate=1.5e-4, batch=64)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    dice = random.Random(options.seed)
    learned, _ = split_cola(options.cola / "in_domain_train.tsv")
    good = [text for text, label in learned if label == 1]
    others = read_sentences()
    rows = marked(good * options.times + others, Corrupter(good + others), options.whole, dice)
    model, tokenizer = load_model(options.start, LABELS, options)
    ids, marks = encode(tokenizer, rows)
    print(json.dumps({"texts": len(ids), "tokens": sum(map(len, ids))}), flush=True)

    def on_epoch(epoch: int, loss: float, seconds: float) -> None:
        print(json.dumps({"epoch": epoch, "loss": round(loss, 4), "seconds": round(seconds)}), flush=True)
        model.save_pretrained(options.out)
        tokenizer.save_pretrained(options.out)

    train(model, list(map(len, ids)), error_finding(model, ids, marks, options.word_weight), options, on_epoch)


if __name__ == "__main__":
    main()
