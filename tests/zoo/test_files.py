"""Downloads, their checksums and the cache."""

import functools
import hashlib
import http.server
import threading

import pytest

from polysemy.zoo.files import CACHE_VARIABLE, cache_dir, fetch, sha256

CONTENT = b"weights" * 1000
CHECKSUM = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "my weights.bin").write_bytes(CONTENT)
    return folder


@pytest.fixture
def server(source):
    """A web server: its address and the list of the requests that it got."""
    requests = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format, *args):
            requests.append(self.path)

        def do_GET(self):
            if self.path != "/short":
                return super().do_GET()
            self.send_response(200)  # announces more than it sends
            self.send_header("Content-Length", str(len(CONTENT)))
            self.end_headers()
            self.wfile.write(CONTENT[:100])

    handler = functools.partial(Handler, directory=str(source))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", requests
        server.shutdown()
        thread.join()


def test_cache_dir(cache, monkeypatch, tmp_path):
    assert cache_dir() == cache
    monkeypatch.delenv(CACHE_VARIABLE)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_dir() == tmp_path / ".cache" / "polysemy"


def test_local_file(source, cache):
    path = fetch((source / "my weights.bin").as_uri(), CHECKSUM)
    assert path.read_bytes() == CONTENT and path.name == "my weights.bin"
    assert cache in path.parents and sha256(path) == CHECKSUM


def test_download_once(server):
    address, requests = server
    url = f"{address}/my%20weights.bin"
    path = fetch(url, CHECKSUM)
    assert fetch(url, CHECKSUM) == path and path.read_bytes() == CONTENT
    assert requests == ["/my%20weights.bin"]
    path.write_bytes(b"spoiled")
    assert fetch(url, CHECKSUM).read_bytes() == CONTENT and len(requests) == 2


@pytest.mark.parametrize("name, checksum", [("my%20weights.bin", "0" * 64), ("short", CHECKSUM)])
def test_wrong_bytes_are_not_kept(name, checksum, server, cache):
    address, _ = server
    with pytest.raises(ValueError, match="`checksum` must be the file's SHA-256"):
        fetch(f"{address}/{name}", checksum)
    assert not [path for path in cache.rglob("*") if path.is_file()]


def test_unreachable(server, source, cache):
    address, _ = server
    for url in (f"{address}/none", (source / "none").as_uri(), "http://127.0.0.1:9/x"):
        with pytest.raises(OSError, match=f"`url` must be reachable. Received: url={url}"):
            fetch(url, CHECKSUM)
    assert not [path for path in cache.rglob("*") if path.is_file()]
