#!/bin/sh
# Replaces what Redis stores and the files of batches by those of a backup. Everything stops meanwhile, and starts afterwards.
# Jobs that were not finished at the time of the backup run again.
# usage: restore.sh FOLDER
set -eu
folder=$(cd "${1:?usage: restore.sh FOLDER}" && pwd)
[ -s "$folder/redis.tar" ] && [ -s "$folder/files.tar" ] || { echo "restore: no redis.tar and files.tar in $folder" >&2; exit 1; }
cd "$(dirname "$0")/.."
if docker compose version >/dev/null 2>&1; then compose="docker compose"; else compose=docker-compose; fi

$compose stop api worker redis
for service in redis api; do
  [ "$service" = redis ] && archive=redis.tar || archive=files.tar
  $compose run --rm --no-deps -T "$service" sh -c 'find /data -mindepth 1 -delete && tar -C /data -xf -' <"$folder/$archive"
done
$compose start
echo "restore: done"
