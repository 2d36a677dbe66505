"""Verifies a pass without asking Twinlock to, then compares its epoch; see docs/integrate.md.

    echo "$pass" | python examples/check_pass.py WORKSPACE

with TWINLOCK_URL and TWINLOCK_HOST_TOKEN says whose pass it is, or why it does not open the
workspace. It needs joserfc.
"""

import json
import os
import sys
import urllib.request
import warnings
from typing import Any
from urllib.parse import urlencode

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

TWINLOCK = os.environ.get("TWINLOCK_URL", "http://127.0.0.1:8080")
ISSUER = os.environ.get("TWINLOCK_PUBLIC_URL", TWINLOCK)
HOST_TOKEN = os.environ.get("TWINLOCK_HOST_TOKEN", "")
warnings.filterwarnings("ignore", "EdDSA is deprecated")  # RFC 9864 calls the same Ed25519


def ask(path: str, token: str = "") -> Any:
    """One question to Twinlock; raises urllib.error.HTTPError where it refuses."""
    call = urllib.request.Request(TWINLOCK + path, headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(call, timeout=5) as answer:
        return json.load(answer)


def opened_by(token: str, workspace: str) -> dict[str, Any]:
    """The claims of a pass that opens the workspace; raises where it is none."""
    keys = KeySet.import_key_set(ask("/.well-known/jwks.json"))
    found = jwt.decode(token, keys, algorithms=["EdDSA"])
    jwt.JWTClaimsRegistry(
        leeway=10,
        iss={"essential": True, "value": ISSUER},
        aud={"essential": True, "value": f"twinlock:{workspace}"},
        exp={"essential": True},
    ).validate(found.claims)
    query = urlencode({"workspace_id": workspace, "member_id": found.claims["sub"]})
    due = ask(f"/v1/login-checks?{query}", HOST_TOKEN)
    if found.header["typ"] != "twinlock-pass+jwt" or found.claims["epoch"] != due["epoch"]:
        raise ValueError("no pass, or one of an older epoch")
    if "mfa" not in found.claims["amr"] and due["decision"] != "granted":
        raise ValueError("the workspace asks for more by now")
    return found.claims


if __name__ == "__main__":
    try:
        print(opened_by(sys.stdin.read().strip(), sys.argv[1])["sub"])
    except (JoseError, ValueError, KeyError, OSError) as refused:
        sys.exit(f"refused: {refused}")
