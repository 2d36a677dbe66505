"""Addresses that stay here: whatever else somebody asks to be led to becomes the front page."""

import re
from typing import Final

LOCAL: Final = re.compile(
    r"/(?:[A-Za-z0-9._~-]+/)*[A-Za-z0-9._~-]*(?:\?[A-Za-z0-9._~=&%:+-]*)?", re.ASCII
)


def local_path(asked: str | None) -> str:
    """The path, if it is a plain one of this site; never another host's, a scheme or a control."""
    if asked and len(asked) <= 512 and LOCAL.fullmatch(asked) and "/.." not in asked:
        return asked
    return "/"
