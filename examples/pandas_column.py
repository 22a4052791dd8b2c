"""Labels a column of a table: python pandas_column.py reviews.csv review labeled.csv

pip install pandas httpx
"""

import os
import sys
import time

import httpx
import pandas as pd

GROUP = 256
client = httpx.Client(
    base_url=os.environ.get("INFERQ_URL", "http://localhost:8000"),
    headers={"Authorization": f"Bearer {os.environ.get('INFERQ_API_KEY', 'any')}", "Prefer": "handling=lenient"},
    timeout=60,
)


def classify(texts: list[str]) -> list[dict]:
    """The best label of each text, or its error: with handling=lenient one that fails does not fail the others."""
    while (answer := client.post("/predict", json={"inputs": texts, "parameters": {"top_k": 1}})).status_code == 429:
        time.sleep(int(answer.headers["Retry-After"]))
    answer.raise_for_status()
    return [each[0] if isinstance(each, list) else each for each in answer.json()]


source, column, target = sys.argv[1:]
table = pd.read_csv(source, dtype={column: str}, keep_default_na=False)
# An empty text has no label, and the server refuses it.
texts = table[column][table[column].str.strip() != ""]
results = [each for at in range(0, len(texts), GROUP) for each in classify(texts[at : at + GROUP].tolist())]
table.join(pd.DataFrame(results, index=texts.index)).to_csv(target, index=False)
