#!/usr/bin/env bash
# Writes the .env of docker-compose.yml with fresh secrets; an existing one is never touched.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ -e .env ]; then
    echo ".env exists already; its secrets open the data, so it stays as it is"
    exit 0
fi
umask 077
python3 - >.env.new <<'PYTHON'
import base64, secrets

print("# Secrets of docker-compose.yml. Losing MASTER_KEY loses every authenticator: keep a copy.")
print(f"POSTGRES_PASSWORD={secrets.token_urlsafe(24)}")
print(f"MASTER_KEY=k1:{base64.b64encode(secrets.token_bytes(32)).decode()}")
PYTHON
mv .env.new .env
echo "Wrote .env"
