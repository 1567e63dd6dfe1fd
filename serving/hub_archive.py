"""Exports as one file: the tar.gz that TF Hub downloads, made, opened and resolved."""

from __future__ import annotations

import functools
import gzip
import hashlib
import lzma
import os
import shutil
import tarfile
import tempfile
import urllib.parse
import uuid
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .saved_model_file import has_saved_model

SUFFIXES = (".tar.gz", ".tgz", ".tar")


def archive(version_dir: str | os.PathLike, path: str | os.PathLike) -> str:
    """Packs one version of an export into a tar.gz, as TF Hub expects it: contents at the top.

    Served over HTTP, the file is a handle of `hub.load`, `hub.KerasLayer` and `HubLayer` as it is.
    For a local `file:` handle call `register_resolver` first; `HubLayer` needs nothing.
    Equal exports give equal bytes: order, owners, times and modes are fixed.

    Args:
        version_dir: folder of one version of a SavedModel, as `serving.export` returns it.
        path: the file to write, ending in .tar.gz or .tgz; its folder is made if it is missing.
            The file appears when it is complete.

    Returns:
        str. The path.

    Raises:
        ValueError: if there is no SavedModel in the folder, or `path` has another ending.
        OSError: if the file cannot be written. Nothing of it is left then.

    Example:
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "saved_model.pb").write_bytes(b"")
    >>> with tarfile.open(archive(folder, folder.with_suffix(".tar.gz"))) as packed:
    ...     packed.getnames()
    ['saved_model.pb']
    """
    folder, path = Path(version_dir), Path(path)
    if not has_saved_model(folder):
        raise ValueError(
            "`version_dir` must be the folder of one version of a SavedModel. "
            f"Received: version_dir={str(folder)!r}, without saved_model.pb"
        )
    if not path.name.endswith((".tar.gz", ".tgz")):
        raise ValueError(f"`path` must end in .tar.gz or .tgz. Received: path={str(path)!r}")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp-{uuid.uuid4().hex}")
    try:
        with open(temporary, "wb") as raw:
            # No name and no time in the header: they would differ from one packing to the next.
            with gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as packed:
                _write(folder, packed)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return str(path)


def resolve(handle: str) -> str:
    """The local folder of a SavedModel behind a handle: a folder, an archive, or an address.

    An archive is unpacked once, into `TFHUB_CACHE_DIR` or the system's temporary folder, under a
    name made of its content, so a changed file is unpacked anew.

    Args:
        handle: path of a folder or of a .tar.gz, .tgz or .tar file; the same as a `file:` URI; or
            an `http(s)://` or `gs://` address, which tensorflow-hub downloads.

    Raises:
        ValueError: if the archive is damaged, or would write outside its folder or more than there
            is room for.
        OSError: if there is no such file, or it cannot be unpacked.

    Example:
    >>> resolve("file:///models/elmo/1")
    '/models/elmo/1'
    """
    if handle.startswith(("http://", "https://", "gs://")):
        import tensorflow_hub

        return str(tensorflow_hub.resolve(handle))
    path = _local(handle)
    return str(_unpacked(path) if path.name.endswith(SUFFIXES) and not path.is_dir() else path)


@functools.cache
def register_resolver() -> None:
    """Teaches tensorflow-hub local archives: `hub.load("file:///models/elmo.tar.gz")`.

    Without it tensorflow-hub opens archives behind `http(s)://` and `gs://` addresses only.
    """
    from tensorflow_hub import registry

    registry.resolver.add_implementation(_LocalArchives())


class _LocalArchives:
    """tensorflow-hub's protocol of a resolver."""

    def is_supported(self, handle: str) -> bool:
        remote = "://" in handle and not handle.startswith("file:")
        return handle.startswith("file:") or (handle.endswith(SUFFIXES) and not remote)

    def __call__(self, handle: str) -> str:
        return resolve(handle)


def _write(folder: Path, packed: gzip.GzipFile) -> None:
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as tar:
        children = {child.relative_to(folder).as_posix(): child for child in folder.rglob("*")}
        for name, child in sorted(children.items()):
            entry = tarfile.TarInfo(name)
            if child.is_dir():
                entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                tar.addfile(entry)
            elif child.is_file():
                entry.size, entry.mode = child.stat().st_size, 0o644
                with open(child, "rb") as file:
                    tar.addfile(entry, file)


def _local(handle: str) -> Path:
    if not handle.startswith("file:"):
        return Path(handle)
    address = urllib.parse.urlsplit(handle)
    if address.netloc not in ("", "localhost"):
        raise ValueError(
            f"`handle` must be a file of this machine, as file:///PATH. Received: handle={handle!r}"
        )
    return Path(urllib.parse.unquote(address.path))


def _within(room: int) -> Callable[[tarfile.TarInfo, str], tarfile.TarInfo | None]:
    """A filter that refuses what would lie outside of the folder, and more bytes than `room`."""
    total = 0

    def checked(member: tarfile.TarInfo, folder: str) -> tarfile.TarInfo | None:
        nonlocal total
        total += member.size
        if total > room:
            raise tarfile.TarError(f"it unpacks to more than the {room} bytes that are free")
        return tarfile.data_filter(member, folder)

    return checked


def _unpacked(path: Path) -> Path:
    if not path.is_file():
        raise FileNotFoundError(f"`handle` must exist. Received: handle={str(path)!r}")
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    name = digest.hexdigest()
    cache = Path(os.environ.get("TFHUB_CACHE_DIR") or Path(tempfile.gettempdir(), "tfhub_modules"))
    folder = cache / name
    if folder.is_dir():
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=cache, prefix=f".{name}."))
    try:
        module = temporary / "module"  # made as the umask says; `mkdtemp` hides from other users
        module.mkdir()
        with tarfile.open(path) as tar:
            tar.extractall(module, filter=_within(shutil.disk_usage(cache).free))
            stream: Any = tar.fileobj
            while stream.read(1 << 20):
                pass  # the checksum of what is compressed comes after the end of the archive
        os.rename(module, folder)
    except (tarfile.TarError, EOFError, gzip.BadGzipFile, zlib.error, lzma.LZMAError) as error:
        raise ValueError(
            "`handle` must be a readable tar archive of a SavedModel. Received: "
            f"handle={str(path)!r}: {' '.join(str(error).split())}"
        ) from error
    except OSError:
        if not folder.is_dir():  # else another process was as fast
            raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder
