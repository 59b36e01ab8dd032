"""The user's own key, which signs the functions that the user registers, and the keys that the user trusts."""

from __future__ import annotations

import dataclasses
import getpass
import hashlib
import hmac
import json
import os
import re
import secrets
import stat
import warnings
from pathlib import Path

_CONTEXT = b"leman.udf.v1\n"
_HEX_ID = re.compile(r"[0-9a-f]{16}")
_HEX_SECRET = re.compile(r"[0-9a-f]{64}")


@dataclasses.dataclass(frozen=True)
class SigningKey:
    """A key as in ``docs/formats/column_metadata.md``; the secret never shows in its text."""

    key_id: str
    owner: str
    secret: bytes = dataclasses.field(repr=False)

    @property
    def signer(self) -> str:
        """``<owner>/<key id>``, as written beside a signature."""
        return f"{self.owner}/{self.key_id}"

    def sign(self, message: bytes) -> str:
        """Return the signature of a message in hex."""
        return hmac.new(self.secret, _CONTEXT + message, hashlib.sha256).hexdigest()

    def verifies(self, message: bytes, signature: str) -> bool:
        """Say whether this key made the signature."""
        return hmac.compare_digest(self.sign(message).encode(), signature.encode("utf-8", "replace"))


def config_folder() -> Path:
    """Return the user's configuration folder: ``$LEMAN_CONFIG_DIR`` or ``~/.config/leman``."""
    named = os.environ.get("LEMAN_CONFIG_DIR")
    return Path(named) if named else Path.home() / ".config" / "leman"


def own_key() -> SigningKey:
    """Return the user's own key; it is made at the first call.

    Raises
    ------
    OSError
        Where the configuration folder cannot be written.
    ValueError
        Where the key file cannot be read as a key.

    Warns
    -----
    UserWarning
        Where others may read or write the key file.
    """
    path = config_folder() / "signing_key.json"
    if not path.exists():
        try:
            _make_key(path)
        except OSError as error:
            raise OSError(
                f"your signing key {path} cannot be made: {error}; set LEMAN_CONFIG_DIR to a folder that you can write"
            ) from error
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        warnings.warn(
            f"your signing key {path} is open to other users of this machine (mode {mode:o}), who could sign functions "
            f"as you: chmod 600 {path}",
            stacklevel=2,
        )
    return _read_key(path)


def trusted_keys() -> dict[str, SigningKey]:
    """Return the user's own key, if there is one, and those of ``trusted_keys/``, by key id; makes nothing."""
    folder = config_folder()
    paths = [folder / "signing_key.json", *sorted((folder / "trusted_keys").glob("*.json"))]
    keys = [_read_key(path) for path in paths if path.exists()]
    return {key.key_id: key for key in reversed(keys)}


def _make_key(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    content = {"format": 1, "key_id": secrets.token_hex(8), "owner": _user_name(), "secret": secrets.token_hex(32)}
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w") as file:
            json.dump(content, file)
        # Two processes may make the first key at once: the first link wins, and both read that one.
        os.link(temporary, path)
    except FileExistsError:
        pass
    finally:
        os.unlink(temporary)


def _read_key(path: Path) -> SigningKey:
    try:
        content = json.loads(path.read_text())
        if content["format"] == 1 and _HEX_ID.fullmatch(content["key_id"]) and _HEX_SECRET.fullmatch(content["secret"]):
            return SigningKey(content["key_id"], str(content.get("owner", "")), bytes.fromhex(content["secret"]))
    except (ValueError, KeyError, TypeError):
        pass
    raise ValueError(f"{path} is not a Leman key file; restore it, or move it away to have a new key made")


def _user_name() -> str:
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = ""
    return re.sub(r"[^A-Za-z0-9_.@-]", "_", name) or "unknown"
