"""QR codes of `otpauth://` addresses, drawn by segno: error level M, never a micro code."""

import base64
import io

import segno
from markupsafe import escape

PIXELS = 5
"""Of a module on a page: whole ones are sharp."""


def svg(text: str) -> str:
    """The code as SVG markup, to be put into a page as it is."""
    return str(_code(text).svg_inline(scale=6, border=4))


def figure(text: str, name: str) -> str:
    """The code as inline SVG with an accessible name, dark on white whatever is around it."""
    code = _code(text)
    drawn = str(code.svg_inline(border=4, dark="#000", light="#fff", omitsize=True))
    width, height = code.symbol_size(scale=PIXELS, border=4)
    said = f'role="img" aria-label="{escape(name)}" width="{width:g}" height="{height:g}"'
    return drawn.replace("<svg ", f"<svg {said} ", 1)


def png(text: str) -> str:
    """The code as a PNG image in base64, without a data prefix."""
    image = io.BytesIO()
    _code(text).save(image, kind="png", scale=6, border=4)
    return base64.b64encode(image.getvalue()).decode()


def _code(text: str) -> segno.QRCode:
    return segno.make(text, error="M", micro=False, boost_error=False)
