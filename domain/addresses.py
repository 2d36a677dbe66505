"""Mail addresses: when two spellings mean one mailbox."""

import unicodedata


def normal_address(address: str) -> str:
    """The spelling to compare by: neither case nor how letters are composed tells any apart."""
    return unicodedata.normalize("NFC", address.strip()).casefold()
