"""Fetches files named by URL into a cache and checks what arrived."""

import hashlib
import os
import shutil
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

CACHE_VARIABLE = "POLYSEMY_CACHE"


def cache_dir() -> Path:
    """The folder for downloads: `$POLYSEMY_CACHE`, else `~/.cache/polysemy`."""
    default = Path.home() / ".cache" / "polysemy"
    return Path(os.environ.get(CACHE_VARIABLE) or default)


def sha256(path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def fetch(url: str, checksum: str, timeout: float = 60.0) -> Path:
    """Returns the path of a local copy of `url` whose SHA-256 is `checksum`.

    A copy in the cache is used if its checksum holds; a download is written beside and renamed, so
    that a broken one never takes the place of a file.

    Args:
        url: str. `https://`, `http://` or `file://`.
        checksum: str. SHA-256 in hexadecimal.
        timeout: float. Seconds without a byte before giving up.

    Raises:
        OSError: the file cannot be fetched.
        ValueError: the bytes that came have another checksum.
    """
    target = cache_dir() / checksum / Path(urllib.request.url2pathname(url)).name
    if target.exists() and sha256(target) == checksum:
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, partial = tempfile.mkstemp(dir=target.parent, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as out:
            try:
                with urllib.request.urlopen(url, timeout=timeout) as reply:
                    shutil.copyfileobj(reply, out)
            except urllib.error.URLError as error:
                raise OSError(
                    f"`url` must be reachable. Received: url={url} ({error.reason})"
                ) from error
        found = sha256(partial)
        if found != checksum:
            raise ValueError(
                f"`checksum` must be the file's SHA-256. Received: checksum={checksum}, "
                f"but {url} has {found}"
            )
        os.replace(partial, target)
    finally:
        Path(partial).unlink(missing_ok=True)
    return target
