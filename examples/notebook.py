"""Cells of a notebook (VS Code and Jupytext read "# %%"), with the unmodified clients of OpenAI and Hugging Face.

pip install openai huggingface_hub
"""

# %% The server
import io
import json
import os
import time

from huggingface_hub import InferenceClient
from openai import OpenAI

URL = os.environ.get("INFERQ_URL", "http://localhost:8000")
KEY = os.environ.get("INFERQ_API_KEY", "any")

# %% One text, with Hugging Face's client
for each in InferenceClient(model=URL, token=KEY).text_classification("She saw him."):
    print(f"{each.score:.4f}  {each.label}")

# %% Many texts as a batch, with OpenAI's client
texts = ["She saw him.", "Her saw he.", "The boy is sitting on a bench"]
lines = [{"custom_id": str(n), "method": "POST", "url": "/predict", "body": {"inputs": text}} for n, text in enumerate(texts)]
openai = OpenAI(base_url=f"{URL}/v1", api_key=KEY)
file = openai.files.create(purpose="batch", file=io.BytesIO("\n".join(map(json.dumps, lines)).encode()))
batch = openai.batches.create(input_file_id=file.id, endpoint="/predict", completion_window="24h")

# %% Its results
while batch.status in ("validating", "in_progress", "finalizing"):
    time.sleep(0.5)
    batch = openai.batches.retrieve(batch.id)
for row in map(json.loads, openai.files.content(batch.output_file_id).text.splitlines()):
    print(texts[int(row["custom_id"])], row["response"]["body"][0]["label"])
