#!/usr/bin/env bash
# The HTTP API with curl and jq: one text, many, and a prediction that is submitted, awaited and erased.
set -euo pipefail
url=${INFERQ_URL:-http://localhost:8000}
inferq() { curl -sS --fail-with-body -H "Authorization: Bearer ${INFERQ_API_KEY:-none}" -H 'Content-Type: application/json' "$@"; }

inferq "$url/predict" -d '{"inputs": "She saw him."}' | jq -r '.[0].label'
inferq "$url/predict" -d '{"inputs": ["She saw him.", "Her saw he."], "parameters": {"top_k": 1}}' | jq -r '.[][0].label'

# The same key is the same prediction, so a repeat after a lost answer computes nothing twice.
id=$(inferq "$url/v1/predictions" -H "Idempotency-Key: curl-$$" -d '{"input": {"text": "She saw him."}}' | jq -r .id)
inferq "$url/v1/predictions/$id" -H 'Prefer: wait=30' | jq -r .status
inferq -X DELETE "$url/v1/predictions/$id"
