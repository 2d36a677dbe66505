"""What a fault may be called in a log: its kind, and of TLS what is wrong; never its message."""

import ssl


def named(error: BaseException) -> str:
    """The kind, and what the certificate lacks, or OpenSSL's constant for what went wrong."""
    kind = type(error).__name__
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"{kind}: {error.verify_message.rstrip('.')}"
    if isinstance(error, ssl.SSLError) and error.reason:
        return f"{kind}: {error.reason}"
    return kind
