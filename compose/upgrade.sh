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
    docker stop --time "$GRACE" "$id" >/dev/null || true
    docker rm "$id" >/dev/null
  done
}

for service in ${*:-worker api}; do
  old=$($compose ps -q "$service")
  count=$(echo "$old" | wc -w)
  if [ "$count" = 0 ]; then
    echo "upgrade: no container of $service runs" >&2
    exit 1
  fi
  echo "upgrade: $service, $count containers"
  output=$($compose up -d --no-deps --no-build --no-recreate --scale "$service=$((count * 2))" "$service" 2>&1) && problem= || problem=$output
  new=
  for id in $($compose ps -q "$service"); do
    case $old in *"$id"*) ;; *) new="$new $id" ;; esac
  done
  waited=0
  for id in $new; do
    until [ -n "$problem" ] || [ "$(health "$id")" = healthy ]; do
      sleep 1
      waited=$((waited + 1))
      [ "$waited" -lt "$START" ] || problem="not healthy after $START s: $(docker logs --tail 20 "$id" 2>&1)"
    done
  done
  if [ -n "$problem" ]; then
    echo "upgrade: the new $service cannot be used; it is removed, and the old one stays" >&2
    echo "$problem" >&2
    remove "$new"
    exit 1
  fi
  # Until proxies know the new ones.
  sleep 3
  remove "$old"
done
echo "upgrade: done"
