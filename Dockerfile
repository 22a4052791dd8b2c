# One image for all processes: `node dist/api/main.js` runs the api, `node dist/worker/main.js` a worker, and the default
# command both, with a private Redis, for trials.
# Works with BuildKit and with the classic builder.
ARG BASE=node:24-bookworm-slim

FROM ${BASE} AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --no-audit
COPY tsconfig.json ./
COPY bin/build.mjs bin/
COPY src src
RUN npm run build
# Not --omit=optional: the tokenizer library imports sharp's binary. ONNX Runtime contains the libraries of every
# platform, other packages their sources, source maps and browser bundles: most of the size is never loaded. AWS' client
# is in the bundle of the api.
RUN npm prune --omit=dev --no-audit \
 && npm sbom --omit=dev --package-lock-only --sbom-format=cyclonedx > sbom.cdx.json \
 && cd node_modules \
 && rm -rf typescript @typescript .cache @aws @aws-sdk @smithy \
 && cd onnxruntime-node/bin/napi-v6 \
 && rm -rf darwin win32 \
 && find linux -mindepth 1 -maxdepth 1 ! -name "$(node -p process.arch)" -exec rm -rf {} + \
 && cd /app \
 && find node_modules dist -name '*.map' -delete

FROM ${BASE}
# Only the default command runs it.
RUN command -v redis-server >/dev/null \
 || (apt-get update -qq && apt-get install -y -qq --no-install-recommends redis-server && rm -rf /var/lib/apt/lists/*)
ENV NODE_ENV=production HOST=0.0.0.0 MODELS_CACHE=/cache FILES_URL=file:///data/files DATA_DIR=/data
WORKDIR /app
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/dist dist
COPY --from=build /app/sbom.cdx.json ./
COPY package.json LICENSE NOTICE ./
COPY bin/health.sh bin/inferq.mjs bin/setup.mjs bin/trial.sh bin/
COPY web web
COPY models models
RUN mkdir /data /cache && chown node:node /data /cache && ln -s /app/bin/inferq.mjs /usr/local/bin/inferq
USER node
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=10s --start-period=60s CMD bin/health.sh "${PORT:-8000}"
CMD ["bin/trial.sh"]
