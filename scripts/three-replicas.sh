#!/usr/bin/env bash
# Three replicas behind nginx on one PostgreSQL, all on this machine and thrown away at the
# end: to look at, and to try things on. Ctrl-C stops everything.
#
#   scripts/three-replicas.sh [COMMAND…]    with a command: runs it with COUNTERSIGN_… set, and ends
#
# It needs nginx and PostgreSQL (Debian: nginx, postgresql-15), and builds ./countersign.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH="$PATH:/usr/sbin"
bin=$(compgen -G '/usr/lib/postgresql/*/bin' | tail -1) || { echo "no PostgreSQL: install postgresql-15" >&2; exit 1; }
command -v nginx >/dev/null || { echo "no nginx: install it" >&2; exit 1; }

folder=$(mktemp -d "${TMPDIR:-/tmp}/countersign-replicas-XXXXXX")
chmod 755 "$folder" # PostgreSQL and nginx run as other users
started=()
stop() {
  trap - EXIT INT TERM
  echo "stopping" >&2
  local i
  for ((i = ${#started[@]} - 1; i >= 0; i--)); do
    kill -TERM "${started[i]}" 2>/dev/null && wait "${started[i]}" 2>/dev/null || true
  done
  if [ -e "$folder/db/data/postmaster.pid" ]; then
    as_postgres "$bin/pg_ctl" -D "$folder/db/data" -m fast -w stop >/dev/null || true
  fi
  rm -rf "$folder"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# root may not run PostgreSQL.
as_postgres() {
  if [ "$(id -u)" = 0 ]; then (cd "$folder/db" && runuser -u postgres -- "$@"); else "$@"; fi
}
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

echo "building" >&2
CGO_ENABLED=0 go build -trimpath -o "$folder/countersign" ./cmd/countersign

echo "starting PostgreSQL" >&2
mkdir "$folder/db"
[ "$(id -u)" != 0 ] || chown postgres "$folder/db"
db_port=$(free_port)
as_postgres "$bin/initdb" -D "$folder/db/data" -N -A trust -U countersign -E UTF8 --locale=C.UTF-8 >/dev/null
as_postgres "$bin/pg_ctl" -D "$folder/db/data" -l "$folder/db/log" -w \
  -o "-p $db_port -h 127.0.0.1 -k $folder/db" start >/dev/null
as_postgres "$bin/createdb" -h 127.0.0.1 -p "$db_port" -U countersign countersign
export COUNTERSIGN_STORE="postgres://countersign@127.0.0.1:$db_port/countersign?sslmode=disable"

api=$(free_port)
head -c 32 /dev/urandom | base64 >"$folder/master.key"
chmod 600 "$folder/master.key"
upstreams=""
for n in 1 2 3; do
  port=$(free_port)
  COUNTERSIGN_DATA="$folder/replica-$n" COUNTERSIGN_ISSUER="http://127.0.0.1:$api" \
    COUNTERSIGN_KEYS_MASTER_FILE="$folder/master.key" COUNTERSIGN_TRUSTED_PROXIES=127.0.0.1/32 \
    COUNTERSIGN_LISTEN_API="127.0.0.1:$port" COUNTERSIGN_LISTEN_OPS=127.0.0.1:0 COUNTERSIGN_LISTEN_S3=127.0.0.1:0 \
    "$folder/countersign" serve >"$folder/replica-$n.out" 2>"$folder/replica-$n.log" &
  started+=($!)
  # The balancer takes a replica out for a while when it refuses or is away.
  upstreams+="    server 127.0.0.1:$port max_fails=1 fail_timeout=5s;"$'\n'
done
for n in 1 2 3; do
  for _ in $(seq 600); do
    [ ! -e "$folder/replica-$n/listen.json" ] || break
    sleep 0.05
  done
  [ -e "$folder/replica-$n/listen.json" ] || { cat "$folder/replica-$n.log" >&2; exit 1; }
done

# A request is tried at another replica only where that can't do harm: nginx repeats no POST
# that was sent (RFC 9110 §9.2.2), so what is good once is shown once.
cat >"$folder/nginx.conf" <<NGINX
daemon off;
pid $folder/nginx.pid;
error_log $folder/nginx.log;
events { worker_connections 1024; }
http {
  access_log off;
  client_body_temp_path $folder/nginx-body; proxy_temp_path $folder/nginx-proxy;
  fastcgi_temp_path $folder/nginx-f; uwsgi_temp_path $folder/nginx-u; scgi_temp_path $folder/nginx-s;
  upstream countersign {
$upstreams    keepalive 64;
  }
  server {
    listen 127.0.0.1:$api;
    client_max_body_size 16m;
    location / {
      proxy_pass http://countersign;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host \$http_host;
      proxy_set_header X-Forwarded-For \$remote_addr;
      proxy_buffering off;
      proxy_read_timeout 60s;
      proxy_next_upstream error timeout http_503;
    }
  }
}
NGINX
nginx -e "$folder/nginx.log" -c "$folder/nginx.conf" &
started+=($!)
for _ in $(seq 200); do
  if curl -sf -o /dev/null "http://127.0.0.1:$api/.well-known/openid-configuration"; then break; fi
  sleep 0.05
done

cat >&2 <<READY
three replicas are up
  issuer      http://127.0.0.1:$api   (nginx, round robin)
  database    $COUNTERSIGN_STORE
READY
for n in 1 2 3; do
  echo "  replica $n   pid ${started[n - 1]}, data $folder/replica-$n, $(cat "$folder/replica-$n/listen.json")" >&2
done
echo "  administer  $folder/countersign service create document-service --audience parse-service --data $folder/replica-1" >&2

export COUNTERSIGN_DATA="$folder/replica-1" REPLICAS_FOLDER="$folder" REPLICAS_URL="http://127.0.0.1:$api" PATH="$folder:$PATH"
if [ $# -gt 0 ]; then
  "$@"
else
  echo "Ctrl-C stops everything" >&2
  wait -n "${started[@]}" || true
fi
