"""Makes test/fixtures/tokenizers: small tokenizers of every kind that text classifiers have, learned from public sentences,
and beside each what Python's tokenizers say to a thousand texts: ids alone, and of pairs cut from either side."""

import argparse
import io
import json
import random
import shutil
from collections import Counter
from pathlib import Path

import sentencepiece
import tokenizers
import transformers
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import (
    AlbertTokenizerFast,
    BertTokenizerFast,
    DebertaV2TokenizerFast,
    PreTrainedTokenizerFast,
    RobertaTokenizerFast,
    XLMRobertaTokenizerFast,
)

from awkward import AWKWARD, LONG
from datasets import read_cola, read_sst2
from export import write_tokenizer
from make_fixtures import choose_vocabulary, make_tokenizer

LIMIT = 512
# A pair is cut to these lengths; the special tokens of every kind fit into the shortest.
LENGTHS = (8, 9, 16, 33, 64, 128)


def cased_wordpiece(sentences: list[str]) -> PreTrainedTokenizerFast:
    """As bert-base-cased: nothing is lowered, no accent is stripped."""
    normalizer = normalizers.BertNormalizer(clean_text=True, handle_chinese_chars=True, strip_accents=None, lowercase=False)
    made = make_tokenizer(choose_vocabulary([*sentences, *AWKWARD], 2000, normalizer), normalizer)
    return BertTokenizerFast(tokenizer_object=made, do_lower_case=False, model_max_length=LIMIT)


def learn_merges(words: Counter, count: int) -> list[tuple[str, str]]:
    """The commonest pair first; of equally common ones, the first by its text. `tokenizers` itself breaks ties by chance."""
    parts = {word: tuple(word) for word in words}
    merges = []
    for _ in range(count):
        pairs = Counter()
        for word, symbols in parts.items():
            for pair in zip(symbols, symbols[1:]):
                pairs[pair] += words[word]
        if not pairs:
            break
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        joined = "".join(best)
        for word, symbols in parts.items():
            if joined not in word:
                continue
            merged, at = [], 0
            while at < len(symbols):
                if symbols[at : at + 2] == best:
                    merged.append(joined)
                    at += 2
                else:
                    merged.append(symbols[at])
                    at += 1
            parts[word] = tuple(merged)
    return merges


def byte_level(sentences: list[str], add_prefix_space: bool = False) -> PreTrainedTokenizerFast:
    """As roberta-base: bytes merged into words, a pair parted by two </s>."""
    splitter = pre_tokenizers.ByteLevel(add_prefix_space=add_prefix_space)
    words = Counter(word for sentence in sentences for word, _ in splitter.pre_tokenize_str(sentence))
    merges = learn_merges(Counter(dict(sorted(words.items(), key=lambda item: (-item[1], item[0]))[:4000])), 700)
    entries = ["<s>", "<pad>", "</s>", "<unk>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    entries += ["".join(pair) for pair in merges]
    vocabulary = {entry: index for index, entry in enumerate(dict.fromkeys([*entries, "<mask>"]))}
    made = Tokenizer(models.BPE(vocabulary, merges))
    made.pre_tokenizer = splitter
    made.decoder = decoders.ByteLevel()
    made.post_processor = processors.RobertaProcessing(
        ("</s>", vocabulary["</s>"]), ("<s>", vocabulary["<s>"]), add_prefix_space=add_prefix_space
    )
    return RobertaTokenizerFast(tokenizer_object=made, add_prefix_space=add_prefix_space, model_max_length=LIMIT)


def split_words(sentences: list[str]) -> PreTrainedTokenizerFast:
    """Of no model in particular: the pre-tokenizers and normalizers that the others leave out, over BPE of characters."""
    normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Strip(), normalizers.Lowercase()])
    splitter = pre_tokenizers.Sequence(
        [
            pre_tokenizers.WhitespaceSplit(),
            pre_tokenizers.Whitespace(),
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.Punctuation(),
        ]
    )
    texts = [normalizer.normalize_str(sentence) for sentence in [*sentences, *AWKWARD]]
    words = Counter(word for text in texts for word, _ in splitter.pre_tokenize_str(text))
    merges = learn_merges(Counter(dict(sorted(words.items(), key=lambda item: (-item[1], item[0]))[:4000])), 400)
    characters = sorted({character for word in words for character in word})
    entries = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *characters, *("".join(pair) for pair in merges)]
    vocabulary = {entry: index for index, entry in enumerate(dict.fromkeys(entries))}
    made = Tokenizer(models.BPE(vocabulary, merges, unk_token="[UNK]"))
    made.normalizer = normalizer
    made.pre_tokenizer = splitter
    made.post_processor = processors.BertProcessing(("[SEP]", vocabulary["[SEP]"]), ("[CLS]", vocabulary["[CLS]"]))
    special = dict(pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]")
    return PreTrainedTokenizerFast(tokenizer_object=made, model_max_length=LIMIT, **special)


def learn_pieces(sentences: list[str], path: Path, **special) -> str:
    """A SentencePiece model with the normalization of XLM-R, ALBERT and DeBERTa-v3."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(sentences),
        model_writer=model,
        vocab_size=1600,
        model_type="unigram",
        character_coverage=1.0,
        normalization_rule_name="nmt_nfkc",
        num_threads=1,
        minloglevel=2,
        **special,
    )
    path.write_bytes(model.getvalue())
    return str(path)


def make_all(sentences: list[str], scratch: Path) -> dict[str, PreTrainedTokenizerFast]:
    # The characters of the awkward texts get pieces too, so that not everything strange is unknown.
    pieces = [*sentences, *(text.strip() for text in AWKWARD if 0 < len(text.strip()) < 400 and "\0" not in text)]
    albert = dict(pad_id=0, unk_id=1, bos_id=-1, eos_id=-1, control_symbols="[CLS],[SEP],[MASK]")
    deberta = dict(pad_id=0, bos_id=1, eos_id=2, unk_id=3, pad_piece="[PAD]", bos_piece="[CLS]", eos_piece="[SEP]", unk_piece="[UNK]")
    lowered = [sentence.lower() for sentence in pieces]
    limit = dict(model_max_length=LIMIT)
    return {
        "wordpiece-cased": cased_wordpiece(sentences),
        "roberta": byte_level(sentences),
        "roberta-prefix": byte_level(sentences, add_prefix_space=True),
        "split-words": split_words(sentences),
        "xlm-roberta": XLMRobertaTokenizerFast(vocab_file=learn_pieces(pieces, scratch / "xlmr.model"), **limit),
        "albert": AlbertTokenizerFast(vocab_file=learn_pieces(lowered, scratch / "albert.model", **albert), **limit),
        "deberta-v3": DebertaV2TokenizerFast(vocab_file=learn_pieces(pieces, scratch / "deberta.model", **deberta), **limit),
    }


# What random texts are made of: ranges of code points, and how often one is taken.
ALPHABETS = [
    ((0x20, 0x7E), 30),
    ((0x00, 0x1F), 2),
    ((0x7F, 0xA0), 2),
    ((0xA1, 0x24F), 8),
    ((0x300, 0x36F), 6),
    ((0x370, 0x52F), 5),
    ((0x591, 0x6FF), 5),
    ((0x900, 0xE7F), 4),
    ((0x1100, 0x11FF), 2),
    ((0x1E00, 0x1FFE), 3),
    ((0x2000, 0x206F), 5),
    ((0x2070, 0x2BFF), 4),
    ((0x3000, 0x30FF), 4),
    ((0x3200, 0x33FF), 2),
    ((0x3400, 0x9FFF), 5),
    ((0xAC00, 0xD7A3), 4),
    ((0xE000, 0xE010), 1),
    ((0xF900, 0xFAD9), 2),
    ((0xFB00, 0xFEFF), 3),
    ((0xFF00, 0xFFEF), 3),
    ((0x1D400, 0x1D7FF), 2),
    ((0x1F300, 0x1FAFF), 6),
    ((0x20000, 0x2FA1D), 2),
]


def random_texts(count: int, sentences: list[str]) -> list[str]:
    """Signs of every kind strewn among words, runs of spaces, floods of marks; always the same ones."""
    source = random.Random(20)
    ranges, weights = zip(*ALPHABETS)
    texts = []
    for index in range(count):
        words = source.choice(sentences).split()[: source.randint(0, 8)]
        signs = []
        for _ in range(source.randint(1, 12)):
            low, high = source.choices(ranges, weights)[0]
            length = source.choice((1, 1, 2, 3, 40 if index % 20 == 0 else 4))
            signs.append("".join(chr(source.randint(low, high)) for _ in range(length)))
        parts = words + signs
        source.shuffle(parts)
        texts.append(source.choice(("", " ", " ", "  ", "\t", "\n", "\u00a0", "\u3000")).join(parts))
    return texts


def choose_texts(cola: Path, sst2: Path) -> list[str]:
    dev = [text for name in ("in_domain", "out_of_domain") for text, _ in read_cola(cola / f"{name}_dev.tsv")[:150]]
    reviews = [text for text, _ in read_sst2(sst2 / "dev.tsv")[:150]]
    return [*AWKWARD, *LONG, *dev, *reviews, *random_texts(480, dev)]


def choose_pairs(texts: list[str]) -> list[tuple[int, int, str, int]]:
    """Places of two texts (the same place twice: one text alone), a side and a length to cut to."""
    source = random.Random(21)
    pairs = []
    for index in range(360):
        first, second = source.randrange(len(texts)), source.randrange(len(texts))
        alone = index % 4 == 0
        pairs.append((first, first if alone else second, source.choice(("left", "right")), source.choice(LENGTHS)))
    return pairs


def reference(tokenizer: PreTrainedTokenizerFast, texts: list[str]) -> dict:
    options = dict(truncation="longest_first", return_token_type_ids=True)
    cut = []
    for first, second, side, length in choose_pairs(texts):
        tokenizer.truncation_side = side
        pair = None if first == second else texts[second]
        encoded = tokenizer(texts[first], pair, max_length=length, **options)
        cut.append([first, second, side, length, encoded["input_ids"], encoded["token_type_ids"]])
    tokenizer.truncation_side = "right"
    ids = [tokenizer(text, max_length=LIMIT, **options)["input_ids"] for text in texts]
    return {"ids": ids, "cut": cut}


def write_lines(path: Path, lists: dict[str, list]) -> None:
    """One row a line; everything that is not ASCII is escaped."""
    compact = dict(separators=(",", ":"))
    body = [f'"{name}": [\n' + ",\n".join(json.dumps(row, **compact) for row in rows) + "\n]" for name, rows in lists.items()]
    path.write_text("{\n" + ",\n".join(body) + "\n}\n", encoding="ascii")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cola", type=Path, required=True, help="folder with in_domain_train.tsv and the two dev files")
    parser.add_argument("--sst2", type=Path, required=True, help="folder with dev.tsv")
    parser.add_argument("--out", type=Path, default=Path("test/fixtures/tokenizers"))
    options = parser.parse_args()
    sentences = [sentence for sentence, _ in read_cola(options.cola / "in_domain_train.tsv")]
    texts = choose_texts(options.cola, options.sst2)
    options.out.mkdir(parents=True, exist_ok=True)
    write_lines(options.out / "texts.json", {"texts": texts})
    scratch = options.out / "scratch"
    scratch.mkdir(exist_ok=True)
    for name, tokenizer in make_all(sentences, scratch).items():
        folder = options.out / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        write_tokenizer(tokenizer, folder)
        for extra in ("vocab.json", "merges.txt", "spm.model", "spiece.model", "sentencepiece.bpe.model", "added_tokens.json"):
            (folder / extra).unlink(missing_ok=True)
        # Saved and read again: what the files say is what counts.
        write_lines(folder / "python.json", reference(type(tokenizer).from_pretrained(folder), texts))
        size = sum(file.stat().st_size for file in folder.iterdir())
        print(f"{name}: {len(tokenizer)} tokens, {size / 1024:.0f} KB", flush=True)
    shutil.rmtree(scratch)
    print(f"{len(texts)} texts, tokenizers {tokenizers.__version__}, transformers {transformers.__version__}")


if __name__ == "__main__":
    main()
