#!/bin/sh
# Copies what Redis stores and the files of batches into a folder, while everything runs: redis.tar and files.tar.
# With FILES_URL=s3://…, files are in the bucket and not in the copy. COMPOSE_FILE and COMPOSE_PROJECT_NAME are those of the
# environment and of .env.
# usage: backup.sh FOLDER
set -eu
folder=${1:?usage: backup.sh FOLDER}
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
cd "$(dirname "$0")/.."
if docker compose version >/dev/null 2>&1; then compose="docker compose"; else compose=docker-compose; fi

# A service may have several containers, with any numbers.
container() { $compose ps -q "$1" | head -n 1; }
redis() { docker exec "$(container redis)" redis-cli "$@"; }
# A file that grows while it is read makes tar end with 1; its begin is what is wanted.
copy() {
  docker exec "$(container "$1")" tar -C /data -cf - . >"$folder/$2.part" || [ $? = 1 ]
  tar -tf "$folder/$2.part" >/dev/null
}

# A rewrite of the append-only file would replace files in the middle of the copy.
percentage=$(redis CONFIG GET auto-aof-rewrite-percentage | tail -n 1)
trap 'redis CONFIG SET auto-aof-rewrite-percentage "$percentage" >/dev/null' EXIT
redis CONFIG SET auto-aof-rewrite-percentage 0 >/dev/null
while redis INFO persistence | grep -q '^aof_rewrite_in_progress:1'; do sleep 1; done
# First the records, then the files: every record of the copy has its files.
copy redis redis.tar
copy api files.tar
mv "$folder/redis.tar.part" "$folder/redis.tar"
mv "$folder/files.tar.part" "$folder/files.tar"
echo "backup: $folder"
