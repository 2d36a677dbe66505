"""A certificate authority of a test's own, whose certificates are real and good for a day."""

import ipaddress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as generate
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from twinlock.dev.ports import LOOPBACK


class Authority:
    """Keeps its own certificate in `ca`, and those it issues beside it, in PEM."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = generate(SECP256R1())
        self.ca = folder / "ca.pem"
        self._name = _named("Authority of a test")
        itself = _begun(self._name, self._key, self._name)
        constraint = x509.BasicConstraints(ca=True, path_length=0)
        made = itself.add_extension(constraint, critical=True).sign(self._key, SHA256())
        folder.mkdir(parents=True, exist_ok=True)
        self.ca.write_bytes(made.public_bytes(Encoding.PEM))

    def issue(self, host: str = LOOPBACK) -> Path:
        """A file with the key and the certificate of a server, which may be an address."""
        key = generate(SECP256R1())
        names = x509.SubjectAlternativeName([_alternative(host)])
        begun = _begun(_named(host), key, self._name).add_extension(names, critical=False)
        made = begun.sign(self._key, SHA256())
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        file = self._folder / f"{host}.pem"
        file.write_bytes(private + made.public_bytes(Encoding.PEM))
        return file


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _alternative(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _begun(
    subject: x509.Name, key: EllipticCurvePrivateKey, issuer: x509.Name
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
    )
