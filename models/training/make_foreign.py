"""Makes test/fixtures/foreign/python.json: what transformers says where a model's files state little, or contradict each
other: the scores of `pipeline("text-classification")` by config.json, and ids and token types by tokenizer_config.json and
post-processor. Also test/fixtures/kinds/gpt2, a decoder whose padding only config.json names."""

import argparse
import json
import shutil
import tempfile
from pathlib import Path

import tokenizers
import torch
import transformers
from transformers import AutoModelForSequenceClassification, AutoTokenizer, BertConfig, GPT2Config, pipeline

from awkward import AWKWARD
from make_parity import nine_digits

TEXTS = [
    "The boy is sitting on a bench",
    "the BOY is Sitting, on a bench!",
    " leading and trailing ",
    "Café déjà vu, NAÏVE façade",
    "我喜欢这部电影。",
    "STRASSE Straße GROẞE",
    "ΟΔΥΣΣΕΥΣ Ὀδυσσεύς",
    "tabs\tand\nnewlines",
    "a",
]
PAIRS = [(TEXTS[0], TEXTS[3]), ("a", "B"), (TEXTS[7], TEXTS[2])]

# config.json, by the fields that choose function and labels.
CONFIGS = [
    {"id2label": {"0": "LABEL_0"}},
    {"id2label": {"0": "score"}, "problem_type": "regression"},
    {"id2label": {"0": "toxic"}, "problem_type": "single_label_classification"},
    {"id2label": {"0": "toxic"}, "problem_type": "multi_label_classification"},
    {"num_labels": 1},
    {},
    {"num_labels": 3},
    {"id2label": {"0": "no", "1": "yes"}},
    {"id2label": {"0": "no", "1": "yes"}, "problem_type": "single_label_classification"},
    {"id2label": {"0": "a", "1": "b", "2": "c"}, "problem_type": "multi_label_classification"},
    {"id2label": {"0": "x", "1": "y"}, "problem_type": "regression"},
    {"id2label": {"0": 1, "1": 2, "2": 3}},
    {"id2label": {"0": "a", "1": "b", "2": "c"}, "num_labels": 2},
]


def scores(folder: Path) -> list[dict]:
    """Each config beside the logits and the scores of a real pipeline over a model with random weights."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    rows = []
    for given in CONFIGS:
        torch.manual_seed(3)
        config = BertConfig(
            vocab_size=len(tokenizer), hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8, **given
        )
        model = AutoModelForSequenceClassification.from_config(config).eval()
        torch.nn.init.normal_(model.classifier.weight, std=2.0)
        with torch.no_grad():
            logits = model(**tokenizer(TEXTS[0], return_tensors="pt")).logits[0]
        said = pipeline("text-classification", model=model, tokenizer=tokenizer)(TEXTS[0], top_k=None)
        rows.append({"config": given, "logits": nine_digits(logits.numpy()), "scores": said})
    return rows


BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False, "use_regex": True}


def template(single: str, pair: str, ids: dict[str, int]) -> dict:
    """A TemplateProcessing of parts such as `A:0 <sep>:0 <cls>:2`."""

    def parts(text: str) -> list[dict]:
        pieces = [part.rsplit(":", 1) for part in text.split()]
        kind = lambda name: "Sequence" if name in ("A", "B") else "SpecialToken"
        return [{kind(name): {"id": name, "type_id": int(type_id)}} for name, type_id in pieces]

    special = {name: {"id": name, "ids": [index], "tokens": [name]} for name, index in ids.items()}
    return {"type": "TemplateProcessing", "single": parts(single), "pair": parts(pair), "special_tokens": special}


WORDS, BYTES = "wordpiece-cased", "roberta"
# The base tokenizer, what is changed in tokenizer_config.json (None: all of it is gone), tokenizer.json and config.json.
TOKENIZERS = {
    "cased, as its config says": (WORDS, {}, {}, {}),
    "do_lower_case over tokenizer.json": (WORDS, {"do_lower_case": True}, {}, {}),
    "do_lower_case and kept accents": (WORDS, {"do_lower_case": True, "strip_accents": False}, {}, {}),
    "stripped accents alone": (WORDS, {"strip_accents": True}, {}, {}),
    "no spaces around ideographs": (WORDS, {"tokenize_chinese_chars": False}, {}, {}),
    "a class that obeys nothing": (WORDS, {"tokenizer_class": "PreTrainedTokenizerFast", "do_lower_case": True}, {}, {}),
    "MPNet's class": (
        WORDS,
        {"tokenizer_class": "MPNetTokenizer", "do_lower_case": True, "tokenize_chinese_chars": False},
        {},
        {},
    ),
    "a class's default, by model_type": (WORDS, None, {}, {"model_type": "distilbert"}),
    "add_prefix_space over tokenizer.json": (BYTES, {"add_prefix_space": True}, {}, {}),
    "no add_prefix_space over tokenizer.json": (
        BYTES,
        {"add_prefix_space": False},
        {"pre_tokenizer": {**BYTE_LEVEL, "add_prefix_space": True}},
        {},
    ),
    "GPT-2's post-processor": (BYTES, {"tokenizer_class": "GPT2Tokenizer"}, {"post_processor": BYTE_LEVEL}, {}),
    "no post-processor": (BYTES, {"tokenizer_class": "PreTrainedTokenizerFast"}, {"post_processor": None}, {}),
    "Llama 3's sequence": (
        BYTES,
        {"tokenizer_class": "PreTrainedTokenizerFast"},
        {
            "post_processor": {
                "type": "Sequence",
                "processors": [BYTE_LEVEL, template("<s>:0 A:0", "<s>:0 A:0 <s>:1 B:1", {"<s>": 0})],
            }
        },
        {},
    ),
    "XLNet's types": (
        BYTES,
        {"tokenizer_class": "XLNetTokenizerFast"},
        {
            "post_processor": template(
                "A:0 </s>:0 <s>:2", "A:0 </s>:0 B:1 </s>:1 <s>:2", {"<s>": 0, "</s>": 2}
            )
        },
        {},
    ),
    "Funnel's type of the first token": (
        WORDS,
        {},
        {"post_processor": template("[CLS]:2 A:0 [SEP]:0", "[CLS]:2 A:0 [SEP]:0 B:1 [SEP]:1", {"[CLS]": 2, "[SEP]": 3})},
        {},
    ),
}


def change(path: Path, more: dict | None) -> None:
    old = json.loads(path.read_text(encoding="utf-8")) if path.exists() and more is not None else {}
    path.write_text(json.dumps({**old, **(more or {})}), encoding="utf-8")


def encode(tokenizer, texts) -> list:
    encoded = tokenizer(*texts, return_token_type_ids=True)
    return [encoded["input_ids"], encoded["token_type_ids"]]


def tokenized(root: Path) -> list[dict]:
    rows = []
    for name, (base, config, file, model) in TOKENIZERS.items():
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) / "t"
            shutil.copytree(root / base, folder, ignore=shutil.ignore_patterns("python.json", "special_tokens_map.json"))
            change(folder / "tokenizer_config.json", config)
            change(folder / "tokenizer.json", file)
            change(folder / "config.json", {"model_type": "bert", **model})
            tokenizer = AutoTokenizer.from_pretrained(folder)
        inputs = [[text] for text in TEXTS] + [list(pair) for pair in PAIRS]
        padded = tokenizer(["a", TEXTS[0]], padding=True, return_token_type_ids=True) if tokenizer.pad_token else None
        rows.append(
            {
                "name": name,
                "base": base,
                "tokenizer_config": config,
                "tokenizer": file,
                "config": model,
                "encoded": [encode(tokenizer, each) for each in inputs],
                **({"padded": [padded["input_ids"][0], padded["token_type_ids"][0]]} if padded else {}),
            }
        )
    return rows


class WithWholeMask(torch.nn.Module):
    """Makes the causal mask itself: the exporter cannot trace how transformers makes it."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids, attention_mask):
        places = torch.arange(input_ids.shape[1])
        seen = (places[None, :] <= places[:, None])[None, None] & (attention_mask[:, None, None, :] > 0)
        blocked = (~seen).float() * torch.finfo(torch.float32).min
        return self.model(input_ids=input_ids, attention_mask=blocked)


def write_gpt2(out: Path, root: Path) -> None:
    """Two layers of hidden size 16; the classifier reads the last token before the padding, by config.json's pad_token_id."""
    from export import export_onnx, write_config
    from make_kinds import LABELS, LIMIT

    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(root / BYTES / name, out / name)
    change(out / "tokenizer.json", {"post_processor": BYTE_LEVEL})
    settings = json.loads((out / "tokenizer_config.json").read_text())
    for field in ("pad_token", "cls_token", "sep_token", "mask_token"):
        settings.pop(field)
    settings |= {"tokenizer_class": "GPT2Tokenizer", "model_max_length": LIMIT}
    (out / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n")
    tokenizer = AutoTokenizer.from_pretrained(out)
    pad = 1
    assert tokenizer.pad_token_id is None and tokenizer.eos_token_id != pad
    config = GPT2Config(
        vocab_size=len(tokenizer), n_positions=LIMIT, n_embd=16, n_layer=2, n_head=2, n_inner=32, pad_token_id=pad,
        bos_token_id=0, eos_token_id=2, id2label=dict(enumerate(LABELS)), label2id={l: i for i, l in enumerate(LABELS)},
    )
    torch.manual_seed(7)
    model = AutoModelForSequenceClassification.from_config(config, attn_implementation="eager").eval()
    for parameter in model.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=0.4)
    model.config.architectures = None
    write_config(model, out)
    export_onnx(WithWholeMask(model), ["input_ids", "attention_mask"], out / "onnx" / "model.onnx")
    model.eval()  # the exporter has left it in training
    texts = [text for text in [*AWKWARD[3::4], *TEXTS] if tokenizer(text)["input_ids"]]
    cases = []
    for text in texts:
        encoded = tokenizer(text, truncation=True, max_length=LIMIT, return_tensors="pt")
        with torch.no_grad():
            logits = model(**encoded).logits[0]
        cases.append({"text": text, "ids": encoded["input_ids"][0].tolist(), "logits": nine_digits(logits.numpy())})
    rows = ",\n".join("  " + json.dumps(case) for case in cases)
    head = json.dumps({"limit": LIMIT, "labels": LABELS})[:-1]
    (out / "python.json").write_text(f'{head},\n "cases": [\n{rows}\n ]}}\n', encoding="ascii")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokenizers", type=Path, default=Path("test/fixtures/tokenizers"))
    parser.add_argument("--kinds", type=Path, default=Path("test/fixtures/kinds"))
    parser.add_argument("--out", type=Path, default=Path("test/fixtures/foreign"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    made_with = {"tokenizers": tokenizers.__version__, "transformers": transformers.__version__}
    parts = {"scores": scores(options.tokenizers / WORDS), "tokenizers": tokenized(options.tokenizers)}
    body = [f' "{name}": [\n' + ",\n".join("  " + json.dumps(row) for row in rows) + "\n ]" for name, rows in parts.items()]
    head = json.dumps({"made_with": made_with, "texts": TEXTS, "pairs": PAIRS})[:-1]
    (options.out / "python.json").write_text(head + ",\n" + ",\n".join(body) + "\n}\n", encoding="ascii")
    write_gpt2(options.kinds / "gpt2", options.tokenizers)


if __name__ == "__main__":
    main()
