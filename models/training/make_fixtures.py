"""Makes the tiny classifiers of test/fixtures/models: random weights from a fixed seed, so they say nothing about language,
but they are real BERTs in the Hugging Face layout, one for each task the server knows."""

import argparse
import math
import shutil
from collections import Counter
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import (
    AutoModelForSequenceClassification,
    BertConfig,
    BertTokenizerFast,
    DistilBertConfig,
    DistilBertTokenizerFast,
)

from datasets import read_cola
from export import export_onnx, write_config, write_tokenizer

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
NORMALISER = normalizers.BertNormalizer(clean_text=True, handle_chinese_chars=True, strip_accents=None, lowercase=True)
SPLITTER = pre_tokenizers.BertPreTokenizer()
NO_LIMIT = int(1e30)

# Lengths differ on purpose: most folders say 512 in both files, one says less in tokenizer_config.json than the
# positions would allow, and one says nothing there (Hugging Face writes 1e30), so only config.json limits it.
FIXTURES = {
    "tiny-fp32": dict(labels=["negative", "positive"], problem="single_label_classification", length=512),
    "tiny-multilabel": dict(
        labels=["anger", "joy", "sadness", "surprise"], problem="multi_label_classification", length=128
    ),
    "tiny-regression": dict(labels=["LABEL_0"], problem="regression", length=512),
    "tiny-pairs": dict(
        labels=["entailment", "neutral", "contradiction"], problem="single_label_classification", length=512
    ),
    "tiny-no-types": dict(labels=["ham", "spam"], problem="single_label_classification", length=NO_LIMIT),
}


def choose_vocabulary(sentences: list[str], size: int = 2000, normalizer=NORMALISER) -> list[str]:
    """Every character, then the commonest words, then the commonest word ends of two to four letters.

    Not the trainer of `tokenizers`: it breaks ties differently from run to run.
    """
    words = Counter(
        word
        for sentence in sentences
        for word, _ in SPLITTER.pre_tokenize_str(normalizer.normalize_str(sentence))
    )
    characters = sorted({character for word in words for character in word} | set("0123456789!?.,;:'\"()-"))
    ends = Counter()
    for word, count in words.items():
        for length in (2, 3, 4):
            if len(word) > length:
                ends["##" + word[-length:]] += count
    by_count = lambda counter: [entry for entry, _ in sorted(counter.items(), key=lambda item: (-item[1], item[0]))]
    entries = [*SPECIAL, *characters, *("##" + character for character in characters)]
    entries += [word for word in by_count(words) if len(word) > 1][: size * 6 // 10]
    return (entries + by_count(ends))[:size]


def make_tokenizer(vocabulary: list[str], normalizer=NORMALISER) -> Tokenizer:
    """A WordPiece tokenizer with the normalizer, splitter and template of bert-base-uncased."""
    index = {entry: position for position, entry in enumerate(vocabulary)}
    tokenizer = Tokenizer(models.WordPiece(index, unk_token="[UNK]", max_input_chars_per_word=100))
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = SPLITTER
    tokenizer.decoder = decoders.WordPiece(prefix="##")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0",
        pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
        special_tokens=[("[CLS]", index["[CLS]"]), ("[SEP]", index["[SEP]"])],
    )
    return tokenizer


def build(name: str, labels: list[str], problem: str, vocabulary: int):
    """A BERT (or DistilBERT) of two layers, hidden 32, with weights wide enough that texts differ."""
    common = dict(
        vocab_size=vocabulary,
        max_position_embeddings=512,
        id2label=dict(enumerate(labels)),
        label2id={label: index for index, label in enumerate(labels)},
        problem_type=problem,
        pad_token_id=0,
    )
    if name == "tiny-no-types":
        config = DistilBertConfig(dim=32, n_layers=2, n_heads=2, hidden_dim=64, **common)
    else:
        config = BertConfig(hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64, **common)
    model = AutoModelForSequenceClassification.from_config(config, attn_implementation="eager")
    for parameter in model.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=1.0 / math.sqrt(parameter.shape[-1]))
    return model.eval()


def spread_logits(model, tokenizer, texts: list[str], pairs: list[str] | None) -> None:
    """Centres each logit on these texts and gives it a standard deviation of 2 by scaling the last layer."""
    batch = tokenizer(texts, pairs, padding=True, truncation=True, max_length=128, return_tensors="pt")
    with torch.no_grad():
        logits = model(**batch).logits
        factor = 2.0 / logits.std(0)
        model.classifier.weight *= factor[:, None]
        model.classifier.bias.copy_((model.classifier.bias - logits.mean(0)) * factor)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cola", type=Path, required=True, help="folder with in_domain_train.tsv")
    parser.add_argument("--out", type=Path, default=Path("test/fixtures/models"))
    options = parser.parse_args()
    sentences = [sentence for sentence, _ in read_cola(options.cola / "in_domain_train.tsv")]
    vocabulary = choose_vocabulary(sentences)

    for seed, (name, fixture) in enumerate(FIXTURES.items()):
        torch.manual_seed(seed)
        typeless = name == "tiny-no-types"
        tokenizer = (DistilBertTokenizerFast if typeless else BertTokenizerFast)(
            tokenizer_object=make_tokenizer(vocabulary),
            do_lower_case=True,
            model_max_length=fixture["length"],
            clean_up_tokenization_spaces=True,
        )
        model = build(name, fixture["labels"], fixture["problem"], len(tokenizer))
        pairs = sentences[256:512] if name == "tiny-pairs" else None
        spread_logits(model, tokenizer, sentences[:256], pairs)

        folder = options.out / name
        shutil.rmtree(folder, ignore_errors=True)
        write_config(model, folder)
        write_tokenizer(tokenizer, folder)
        names = ["input_ids", "attention_mask"] + ([] if typeless else ["token_type_ids"])
        export_onnx(model, names, folder / "onnx" / "model.onnx")
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        print(f"{name}: {size / 1024:.0f} KB")


if __name__ == "__main__":
    main()
