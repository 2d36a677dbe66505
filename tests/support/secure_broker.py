"""A real broker that is reached over TLS, with and without a login, as well as in the clear."""

import hashlib
import secrets
from base64 import b64encode
from pathlib import Path

from tests.support.authority import Authority
from twinlock.dev.kafka import KafkaBroker
from twinlock.dev.ports import LOOPBACK, free_port

USER = "twinlock-user"
PASSWORD = "marked, = sécret"
"""With all that would break the setting, were it not in a file."""
PROTOCOLS = {
    "LOGIN": "SASL_SSL",
    "ELSEWHERE": "SASL_SSL",
    "TLS": "SSL",
    "CLEAR": "SASL_PLAINTEXT",
}
SCRAM = ("SCRAM-SHA-256", "SCRAM-SHA-512")


class SecureBroker(KafkaBroker):
    """A broker with a listener for each of PROTOCOLS; ELSEWHERE has another host's certificate."""

    def __init__(self, folder: Path, authority: Authority) -> None:
        super().__init__(folder)
        self._authority = authority
        self._ports = {name: free_port() for name in PROTOCOLS}

    def at(self, listener: str) -> str:
        """The bootstrap servers of a listener."""
        return f"{LOOPBACK}:{self._ports[listener]}"

    def _said(self) -> dict[str, str]:
        said = super()._said()
        there = "".join(f",{name}://{self.at(name)}" for name in PROTOCOLS)
        protocols = {"PLAINTEXT": "PLAINTEXT", "CONTROLLER": "PLAINTEXT", **PROTOCOLS}
        return {
            **said,
            "listeners": said["listeners"] + there,
            "advertised.listeners": said["advertised.listeners"] + there,
            "listener.security.protocol.map": ",".join(map(":".join, protocols.items())),
            "sasl.enabled.mechanisms": ",".join(("PLAIN", *SCRAM)),
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(self._authority.issue()),
            "listener.name.elsewhere.ssl.keystore.type": "PEM",
            "listener.name.elsewhere.ssl.keystore.location": str(
                self._authority.issue("kafka.example.com")
            ),
            **_logins(),
        }

    def _format_options(self) -> list[str]:
        return [word for each in SCRAM for word in ("--add-scram", f"{each}=[{_salted(each)}]")]


def _salted(mechanism: str) -> str:
    """The user as `format` takes one: salted already, for it splits passwords at commas."""
    salt, name = secrets.token_bytes(16), mechanism.removeprefix("SCRAM-").replace("-", "")
    salted = hashlib.pbkdf2_hmac(name, PASSWORD.encode(), salt, 4096)
    words = {"salt": salt, "saltedpassword": salted}
    told = "".join(f",{word}={b64encode(value).decode()}" for word, value in words.items())
    return f"name={USER},iterations=4096{told}"


def _logins() -> dict[str, str]:
    package = "org.apache.kafka.common.security"
    password = PASSWORD.replace("é", "\\u00e9")  # as Java's properties are written
    plain = f'{package}.plain.PlainLoginModule required user_{USER}="{password}";'
    modules = {"plain": plain}
    modules |= {each.lower(): f"{package}.scram.ScramLoginModule required;" for each in SCRAM}
    listeners = [name.lower() for name, protocol in PROTOCOLS.items() if "SASL" in protocol]
    return {
        f"listener.name.{listener}.{mechanism}.sasl.jaas.config": module
        for listener in listeners
        for mechanism, module in modules.items()
    }
