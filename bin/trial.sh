#!/bin/sh
# The command of the image: Redis, the api and a worker in one container, for trials.
cat <<'END'
This container has a Redis of its own and one worker: it is for trials. With -v inferq:/data, its data is kept.
For real use, compose.yaml has Redis, apis and workers as services: docker compose up --scale worker=3
Without API_KEYS, publish the port on this machine only: docker run -p 127.0.0.1:8000:8000 inferq
END
if [ -n "${MODELS:-}" ]; then exec inferq serve; fi
exec inferq serve cola
