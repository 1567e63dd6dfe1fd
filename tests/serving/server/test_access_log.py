"""The access log: a line a request, through rotation, without waiting for the disk."""

import json
import os
import select

import pytest

from polysemy.serving.server import access_log
from polysemy.serving.server.access_log import AccessLog


def test_a_line_has_every_field(tmp_path):
    path = tmp_path / "access.jsonl"
    path.write_text("{}\n")
    log = AccessLog(path)
    log.write("REST", "caf\ud800\n", "predict", "OK", 0.0123456, 3, "s", 2, "127.0.0.1:1")
    log.write("GRPC", "m" * 1_000_000, "Predict", "NOT_FOUND", 0.1, signature="s" * 1_000_000)
    log.close()
    first, line, long = path.read_text().splitlines()
    entry = json.loads(line)
    assert len(long) < 1000  # clients choose the names
    assert first == "{}" and entry.pop("time").endswith("+00:00")
    assert entry == {
        "entrypoint": "REST",
        "model": "caf\ud800\n",
        "version": 3,
        "signature": "s",
        "api": "predict",
        "status": "OK",
        "milliseconds": 12.346,
        "examples": 2,
        "peer": "127.0.0.1:1",
    }


def test_a_rotated_file_is_opened_anew(tmp_path):
    path = tmp_path / "access.jsonl"
    log = AccessLog(path)
    os.rename(path, tmp_path / "old")
    log.write("GRPC", "m", "Predict", "OK", 0.1)
    log.close()
    assert json.loads(path.read_text())["model"] == "m"
    assert (tmp_path / "old").read_text() == ""


def test_lines_are_dropped_rather_than_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(access_log, "MAX_WAITING_LINES", 2)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    os.set_blocking(reader, True)
    log = AccessLog(pipe)
    # A pipe holds 64 KiB: the thread stands still in the first line until someone reads.
    log.write("GRPC", "m", "Predict", "OK", 0.1, peer="p" * 200_000)
    select.select([reader], [], [])
    for _ in range(40):
        log.write("GRPC", "m", "Predict", "OK", 0.1, peer="p" * 200_000)
    with os.fdopen(reader, encoding="utf-8") as file:
        first = json.loads(file.readline())
        lines = [json.loads(file.readline()) for _ in range(2)]
        assert first["peer"] == "p" * 200_000
        assert lines[0]["dropped"] == 38 and lines[1]["peer"] == first["peer"]
        file.readline()
        log.close()


def test_an_unwritable_path_is_refused(tmp_path):
    with pytest.raises(OSError, match="No such file"):
        AccessLog(tmp_path / "missing" / "access.jsonl")
