"""An application that leaves its second factor to Twinlock, by the public contract alone.

It has two members and a workspace that enforces MFA. It checks the password, asks Twinlock for a
login, sends the browser to Twinlock's page, and gets a one-time code back, which it exchanges for
a pass. Run it with TWINLOCK_URL and TWINLOCK_HOST_TOKEN; `make run` does so.
"""

import hmac
import json
import logging
import os
import secrets
import urllib.error
import urllib.request
from typing import Any

from flask import Flask, Response, abort, redirect, render_template_string, request, session

TWINLOCK = os.environ.get("TWINLOCK_URL", "http://127.0.0.1:8080")
HOST_TOKEN = os.environ.get("TWINLOCK_HOST_TOKEN", "")
LISTEN = os.environ.get("HOST_APP", "127.0.0.1:8081")
RETURN_URL = f"http://{LISTEN}/return"
WORKSPACE = "shop"
MEMBERS = {"shop-owner": "owner", "shop-member": "member"}
PASSWORD = "twinlock-demo"  # noqa: S105 - the first factor is yours: keep hashes, not this

app = Flask(__name__)
app.secret_key = secrets.token_bytes(32)
app.config.update(
    SESSION_COOKIE_NAME="shop", SESSION_COOKIE_SAMESITE="Lax", SESSION_COOKIE_HTTPONLY=True
)
# Passes are credentials: they stay on the server, and the browser gets a key to them.
passes: dict[str, dict[str, Any]] = {}


def twinlock(method: str, path: str, body: Any = None, *, token: str = HOST_TOKEN) -> Any:
    """One call of Twinlock's API; raises urllib.error.HTTPError where it refuses."""
    call = urllib.request.Request(
        TWINLOCK + path,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(call, timeout=5) as answer:
        return json.loads(answer.read() or b"null")


def make_known() -> None:
    """Tell Twinlock of the workspace, its members and its policy; again does no harm."""
    profile = {"name": "Example shop", "return_urls": [RETURN_URL]}
    twinlock("PUT", f"/v1/workspaces/{WORKSPACE}", profile)
    for member, role in MEMBERS.items():
        body = {"email": f"{member}@example.com", "name": f"Shop {role}", "role": role}
        twinlock("PUT", f"/v1/workspaces/{WORKSPACE}/members/{member}", body)
    twinlock("PUT", f"/v1/workspaces/{WORKSPACE}/mfa-policy", {"mode": "enforced"})


def signed_in() -> dict[str, Any] | None:
    """Whoever holds a pass that still opens the workspace: Twinlock says so at every request."""
    granted = passes.get(session.get("key", ""))
    if granted is None:
        return None
    try:
        twinlock("GET", f"/v1/access?workspace_id={WORKSPACE}", token=granted["pass"])
    except urllib.error.HTTPError:
        return None
    return granted


@app.get("/")
def front() -> str:
    """Behind both locks, or in front of them."""
    return render_template_string(PAGE, granted=signed_in(), members=MEMBERS, wrong=None)


@app.post("/sign-in")
def sign_in() -> Any:
    """The first factor is ours; then the browser goes to Twinlock for the second."""
    member = request.form.get("member", "")
    given = request.form.get("password", "").encode()
    if member not in MEMBERS or not hmac.compare_digest(given, PASSWORD.encode()):
        wrong = "That name and password do not belong together."
        return render_template_string(PAGE, granted=None, members=MEMBERS, wrong=wrong), 403
    session.clear()
    session["state"] = secrets.token_urlsafe(16)
    asked = {
        "workspace_id": WORKSPACE,
        "member_id": member,
        "return_url": RETURN_URL,
        "state": session["state"],
    }
    return redirect(twinlock("POST", "/v1/logins", asked)["page"], 303)


@app.get("/return")
def come_back() -> Any:
    """Back from Twinlock: exchange the code on our own line, once, within a minute."""
    expected = session.pop("state", None)
    given = request.args.get("state", "")
    if expected is None or not hmac.compare_digest(expected.encode(), given.encode()):
        abort(403, "This answer belongs to another login: begin again.")
    try:
        granted = twinlock("POST", "/v1/logins/exchange", {"code": request.args.get("code", "")})
    except urllib.error.HTTPError:
        abort(403, "The code was used or is too old: begin again.")
    session.clear()
    session["key"] = secrets.token_urlsafe(32)
    passes[session["key"]] = granted
    return redirect("/", 303)


@app.post("/sign-out")
def sign_out() -> Any:
    """Forget the pass."""
    passes.pop(session.pop("key", ""), None)
    return redirect("/", 303)


@app.after_request
def safely(response: Response) -> Response:
    """No page of a signed-in member is kept, and none is framed."""
    response.headers["Cache-Control"] = "no-store"
    response.headers["Content-Security-Policy"] = "default-src 'none'; frame-ancestors 'none'"
    return response


PAGE = """<!doctype html><html lang="en"><title>Example shop</title>
<meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">
<main><h1>Example shop</h1>
{% if granted %}<p>You are in as <strong>{{ granted.member_id }}</strong>, behind both locks.</p>
<p>The pass is good for {{ granted.expires_in // 3600 }} hours.</p>
<form method="post" action="/sign-out"><button>Sign out</button></form>
{% else %}{% if wrong %}<p role="alert">{{ wrong }}</p>{% endif %}
<form method="post" action="/sign-in">
<p><label>Member <select name="member">{% for m in members %}<option>{{ m }}{% endfor %}</select>
</label></p><p><label>Password <input type="password" name="password"></label></p>
<p><button>Sign in</button></p></form><p>The password is twinlock-demo.</p>{% endif %}
</main></html>"""

if __name__ == "__main__":
    # The server's own access log would keep the one-time codes of the return address.
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    make_known()
    host, _, port = LISTEN.rpartition(":")
    app.run(host, int(port))
