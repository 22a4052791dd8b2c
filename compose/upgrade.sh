#!/bin/sh
# Replaces workers and apis by containers of the image that is there now, without a call that fails:
#   docker tag inferq inferq:before && docker compose build && sh compose/upgrade.sh
# Back: INFERQ_IMAGE=inferq:before sh compose/upgrade.sh
# New containers start while the old ones run, which are stopped one after the other when all new ones are healthy. When one
# does not become healthy, the new ones are removed. Apis need compose/proxy.yaml. COMPOSE_FILE, COMPOSE_PROJECT_NAME and
# all settings are those of the environment and of .env.
# usage: upgrade.sh [SERVICE]...   default: worker api
set -eu
cd "$(dirname "$0")/.."
if docker compose version >/dev/null 2>&1; then compose="docker compose"; else compose=docker-compose; fi

# Longer than the stop_grace_period, and than the start of models.
GRACE=40
START=${UPGRADE_TIMEOUT:-180}

health() { docker inspect --format '{{.State.Health.Status}}' "$1" 2>/dev/null || echo gone; }

remove() {
  for id in $1; do
    docker stop --time "$GRACE" "$id" >/dev/null
    docker rm "$id" >/dev/null
  done
}

for service in ${*:-worker api}; do
  old=$($compose ps -q "$service")
  count=$(echo "$old" | wc -w)
  [ "$count" -gt 0 ] || { echo "upgrade: no container of $service runs" >&2; exit 1; }
  echo "upgrade: $service, $count containers"
  $compose up -d --no-deps --no-build --no-recreate --scale "$service=$((count * 2))" "$service" >/dev/null 2>&1
  new=
  for id in $($compose ps -q "$service"); do
    case $old in *"$id"*) ;; *) new="$new $id" ;; esac
  done
  waited=0
  for id in $new; do
    until [ "$(health "$id")" = healthy ]; do
      sleep 1
      waited=$((waited + 1))
      if [ "$waited" -ge "$START" ]; then
        echo "upgrade: the new $service is not healthy after $START s; it is removed, and nothing is changed" >&2
        docker logs --tail 20 "$id" >&2
        remove "$new"
        exit 1
      fi
    done
  done
  # Until proxies know the new ones.
  sleep 3
  remove "$old"
done
echo "upgrade: done"
