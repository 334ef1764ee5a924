"""The folder with our OPC UA certificate, its key, and the servers' certificates we trust."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from isthmus.field.connectors.opcua.certificates import der, fingerprint, load, new_key


@dataclass(frozen=True)
class TrustFolder:
    """`own/isthmus.der` with `own/isthmus.pem`, and `trusted/`: any names, .der, .crt or .pem."""

    path: Path

    @staticmethod
    def of_this_site() -> "TrustFolder":
        """In the data folder, which only the platform's own user should be able to read."""
        data = Path(os.environ.get("ISTHMUS_DATA") or "data").resolve()
        return TrustFolder(data / "certificates" / "opcua")

    @property
    def certificate(self) -> Path:
        return self.path / "own" / "isthmus.der"

    @property
    def private_key(self) -> Path:
        return self.path / "own" / "isthmus.pem"

    def own(self) -> x509.Certificate | None:
        return load(self.certificate)[0] if self.certificate.exists() else None

    def keep(self, certificate: x509.Certificate, key: rsa.RSAPrivateKey) -> None:
        """Both are there, or nothing has changed; the key can be read by its owner alone."""
        folder = self.certificate.parent
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        _replace(self.private_key, pem, 0o600)
        _replace(self.certificate, der(certificate), 0o644)

    def key(self) -> rsa.RSAPrivateKey:
        """Ours, or a new one that is not kept yet: a renewed certificate keeps its key."""
        if not self.private_key.exists():
            return new_key()
        key = load_pem_private_key(self.private_key.read_bytes(), None)
        if not isinstance(key, rsa.RSAPrivateKey):
            raise ValueError(f"{self.private_key} is no RSA key")  # noqa: TRY004 - of a file
        return key

    def trust(self, certificate: x509.Certificate) -> Path:
        target = self.path / "trusted" / f"{fingerprint(certificate)}.der"
        target.parent.mkdir(parents=True, exist_ok=True)
        _replace(target, der(certificate), 0o644)
        return target

    def distrust(self, print_of: str) -> list[Path]:
        """Forget every certificate whose fingerprint begins so; returns the files removed."""
        wanted = print_of.replace(" ", "").replace(":", "").upper()
        removed = [
            file
            for file, one in self.files()
            if wanted and fingerprint(one).startswith(wanted)
        ]  # fmt: skip
        for file in dict.fromkeys(removed):
            file.unlink()
        return removed

    def files(self) -> Iterator[tuple[Path, x509.Certificate]]:
        """ValueError names a file that is no certificate."""
        folder = self.path / "trusted"
        for file in sorted(folder.iterdir()) if folder.is_dir() else ():
            if file.name.startswith("."):
                continue  # half written when the computer went off
            try:
                found = load(file)
            except ValueError as error:
                raise ValueError(f"{file} is no certificate: {error}") from error
            yield from ((file, one) for one in found)

    def trusted(self) -> list[x509.Certificate]:
        return [certificate for _, certificate in self.files()]


def _replace(target: Path, content: bytes, mode: int) -> None:
    """Never half written, and never readable by others in between."""
    beside = target.with_name(f".{target.name}.new")
    beside.unlink(missing_ok=True)
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)
    beside.replace(target)
