"""What the small pages share: one style sheet, its hash, and the policy that lets only it in."""

import base64
import hashlib

from flask import Response, render_template

STYLE = (
    ":root{color-scheme:light dark;--ground:#f6f7f5;--paper:#fff;--ink:#1b2422;--line:#d5dbd8;"
    "--act:#1f5f5b;--on:#fff}"
    "@media (prefers-color-scheme:dark){:root{--ground:#121716;--paper:#1a2120;--ink:#e6ecea;"
    "--line:#313b39;--act:#6cc5bd;--on:#0c1f1d}}"
    "body{font:1rem/1.55 system-ui,'Noto Sans CJK SC',sans-serif;margin:0;padding:3.5rem 1rem;"
    "color:var(--ink);background:var(--ground)}"
    "main{max-width:30rem;margin:0 auto;padding:clamp(1.15rem,5vw,2rem);background:var(--paper);"
    "border:1px solid var(--line);border-radius:1rem}"
    "h1{font-size:1.625rem;line-height:1.25;letter-spacing:-.015em;margin:0 0 .75rem}"
    "button{font:inherit;font-weight:600;min-height:2.85rem;padding:.55rem 1.25rem;border:0;"
    "border-radius:.625rem;background:var(--act);color:var(--on);cursor:pointer}"
    "button:focus-visible{outline:3px solid var(--act);outline-offset:2px}code{font-size:.94em}"
)
HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
POLICY = (
    f"default-src 'none'; style-src 'sha256-{HASH}'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)


def page(template: str, status: int = 200, **values: object) -> Response:
    """A page that loads nothing from elsewhere and is kept nowhere."""
    text = render_template(template, style=STYLE, **values)
    return Response(text, status=status, headers={"Content-Security-Policy": POLICY})
