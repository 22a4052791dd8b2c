"""Distils the SST-2 teacher into a BERT of two layers and hidden size 128 that reads the same word pieces.

Its word embeddings start as principal components of the teacher's: half of its own embeddings, half of what it makes of
each word alone, so that words which SST-2 does not have are known too. It learns SST-2's own labels of phrases, and what
the teacher says to the whole sentences and to variations of them: pieces cut out, words masked or taken from elsewhere.
The teacher's answers are kept in --cache. Dev sentences are only ever read to be scored."""

import argparse
import hashlib
import json
import random
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer, BertConfig, BertForSequenceClassification

from datasets import read_sst2, whole_sentences
from fine_tuning import add_training_options, cross_entropy, one_hot, predict, softmax, train
from train_sst2 import LABELS


CLS, SEP, MASK = 101, 102, 103
"""In the vocabulary of all-MiniLM-L6-v2, which is BERT's."""


def vary(words: list[str], others: list[str], dice: random.Random) -> str:
    """A piece of at least four words of a sentence, some of its words masked or exchanged for others of the set."""
    size = dice.randint(min(4, len(words)), len(words))
    start = dice.randint(0, len(words) - size)
    varied = words[start : start + size]
    for at in range(size):
        chance = dice.random()
        if chance < 0.1:
            varied[at] = "[MASK]"
        elif chance < 0.25:
            varied[at] = dice.choice(others)
    return " ".join(varied)


def variations(texts: list[str], count: int, dice: random.Random) -> list[str]:
    """`count` different variations; words are exchanged as often as they are used."""
    sentences = [text.split() for text in texts]
    others = [word for sentence in sentences for word in sentence]
    made: dict[str, None] = {}
    while len(made) < count:
        made[vary(dice.choice(sentences), others, dice)] = None
    return list(made)


def answers(folder: Path, rows: list[list[int]], cache: Path) -> np.ndarray:
    """The teacher's logits [texts, 2], computed once for a teacher and a list of texts."""
    weights = (folder / "model.safetensors").read_bytes()
    name = hashlib.sha256(weights + json.dumps(rows).encode()).hexdigest()[:16]
    file = cache / f"{name}.npy"
    if not file.exists():
        teacher = AutoModelForSequenceClassification.from_pretrained(folder, local_files_only=True)
        cache.mkdir(parents=True, exist_ok=True)
        np.save(file, predict(teacher, rows))
    return np.load(file)


@torch.no_grad()
def senses(teacher, words: int) -> torch.Tensor:
    """What the teacher makes of each word piece alone: its last hidden state there [words, 384]."""
    teacher.eval()
    pieces = torch.arange(words)
    alone = torch.stack([torch.full_like(pieces, CLS), pieces, torch.full_like(pieces, SEP)], 1)
    return torch.cat([teacher.bert(chunk).last_hidden_state[:, 1] for chunk in alone.split(256)])


def principal_components(vectors: torch.Tensor, size: int) -> torch.Tensor:
    """Vectors [words, size] in the directions in which `vectors` differ most, with BERT's usual spread of 0.02."""
    centred = vectors - vectors.mean(0)
    _, directions = torch.linalg.eigh(centred.T @ centred)
    components = centred @ directions[:, -size:].flip(1)
    return components / components.std() * 0.02


def make_student(teacher: Path, tokenizer, dropout: float) -> BertForSequenceClassification:
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=512,
        hidden_dropout_prob=dropout,
        num_labels=len(LABELS),
        id2label=LABELS,
        label2id={label: index for index, label in LABELS.items()},
        problem_type="single_label_classification",
    )
    student = BertForSequenceClassification(config)
    given = AutoModelForSequenceClassification.from_pretrained(teacher, local_files_only=True)
    words = given.get_input_embeddings().weight.detach()
    half = config.hidden_size // 2
    start = torch.cat([principal_components(words, half), principal_components(senses(given, len(words)), half)], 1)
    with torch.no_grad():
        student.get_input_embeddings().weight.copy_(start)
    return student


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sst2", type=Path, required=True, help="folder with the SST-2 files")
    parser.add_argument("--teacher", type=Path, required=True, help="folder written by train_sst2.py")
    parser.add_argument("--out", type=Path, required=True, help="folder for the best checkpoint")
    parser.add_argument("--cache", type=Path, required=True, help="folder for the teacher's answers")
    parser.add_argument("--variations", type=int, default=20_000)
    parser.add_argument("--gold", type=float, default=0.3, help="weight of a whole sentence's own label; the rest is the teacher's")
    parser.add_argument("--hide", type=float, default=0.1, help="chance of a word piece to be masked when it is read")
    parser.add_argument("--longest", type=int, default=48, help="tokens of a text that are read in training")
    add_training_options(parser, epochs=5, rate=1e-3, batch=128)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    tokenizer = AutoTokenizer.from_pretrained(options.teacher, local_files_only=True)

    def encode(texts: list[str], longest: int | None = None) -> list[list[int]]:
        return tokenizer(texts, truncation=longest is not None, max_length=longest)["input_ids"]

    everything = dict(read_sst2(options.sst2 / "train.tsv"))
    sentences = [text for text, _ in whole_sentences(list(everything.items()))]
    phrases = sorted(everything.keys() - set(sentences))
    asked = sentences + variations(sentences, options.variations, random.Random(options.seed))
    asked_rows = encode(asked, options.longest)
    said = softmax(answers(options.teacher, asked_rows, options.cache))
    gold = one_hot([everything[text] for text in sentences + phrases], options.smoothing)
    said[: len(sentences)] += options.gold * (gold[: len(sentences)] - said[: len(sentences)])
    rows = asked_rows + encode(phrases, options.longest)
    targets = np.concatenate([said, gold[len(sentences) :]])
    print(json.dumps({"asked": len(asked), "phrases": len(phrases), "tokens": sum(map(len, rows))}), flush=True)

    student = make_student(options.teacher, tokenizer, options.dropout)
    dev = read_sst2(options.sst2 / "dev.tsv")
    dev_rows = encode([text for text, _ in dev])
    best = -1.0

    def on_epoch(epoch: int, loss: float, seconds: float) -> None:
        nonlocal best
        right = float((predict(student, dev_rows).argmax(-1) == [label for _, label in dev]).mean())
        line = {"epoch": epoch, "loss": round(loss, 4), "seconds": round(seconds), "dev_accuracy": round(right, 4)}
        print(json.dumps(line), flush=True)
        if right > best:
            best = right
            student.save_pretrained(options.out)
            tokenizer.save_pretrained(options.out)

    def hide_words(given: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        ids = given["input_ids"]
        hidden = (torch.rand(ids.shape) < options.hide) & (ids > MASK)
        return given | {"input_ids": ids.masked_fill(hidden, MASK)}

    train(student, list(map(len, rows)), cross_entropy(student, rows, targets, hide_words), options, on_epoch)


if __name__ == "__main__":
    main()
