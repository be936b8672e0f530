"""Certificates for a cluster of our own, which nobody else ever sees."""

from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from distributed.security import Security

# they end with the service; by a clock that was wrong, or was set, they must not be too young or too old
ALWAYS = datetime(2000, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)


def made_for_one_life() -> Security:
    """A key and its certificate for all parts of one cluster; they are in memory only."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "beamhub")])
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), *ALWAYS)
    certificate = made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()
    plain = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    roles = ("client", "scheduler", "worker")
    keys = {f"tls_{role}_key": key.private_bytes(*plain).decode() for role in roles}
    certificates = {f"tls_{role}_cert": certificate for role in roles}
    return Security(require_encryption=True, tls_ca_file=certificate, **keys, **certificates)  # type: ignore[no-untyped-call]
