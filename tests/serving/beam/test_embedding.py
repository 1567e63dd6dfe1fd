"""Vectors of a corpus: every line accounted for, resumed by shard, the model's own numbers."""

import base64
import bz2
import gzip
import json
import lzma
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf

pytest.importorskip("apache_beam")
parquet = pytest.importorskip("pyarrow.parquet")
zstd = pytest.importorskip("backports.zstd")

from polysemy import cli  # noqa: E402, not before it is known that Beam is there
from polysemy.serving.beam import Embedding, embed, unreadable_files  # noqa: E402

LINES = [f"word{i} " * (1 + i % 4) for i in range(23)]


class Lengths(tf.Module):
    """Each word becomes (its length, its place); refuses "fail"."""

    def __init__(self):
        super().__init__()
        self.scale = tf.Variable(2.0)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "sentences")])
    def encode(self, sentences):
        with tf.control_dependencies(
            [tf.debugging.assert_none_equal(sentences, "fail", message="cannot read this")]
        ):
            words = tf.strings.split(sentences)
        lengths = tf.cast(tf.strings.length(words).to_tensor(), tf.float32) * self.scale
        places = tf.cast(tf.range(tf.shape(lengths)[1]), tf.float32) * tf.ones_like(lengths)
        mask = tf.sequence_mask(words.row_lengths())
        output = tf.stack([lengths, places], axis=-1)
        return {
            "sequence_output": output,
            "mask": tf.cast(mask, tf.int32),
            "sum": output[:, 0, 0],
            "first": words.to_tensor()[:, 0],
        }


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = str(tmp_path_factory.mktemp("model") / "1")
    module = Lengths()
    tf.saved_model.save(module, path, signatures=module.encode)
    return path


@pytest.fixture
def corpus(tmp_path):
    folder = tmp_path / "corpus"
    (folder / "b").mkdir(parents=True)
    (folder / "a.txt.gz").write_bytes(gzip.compress("\n".join([*LINES, ""]).encode()))
    (folder / "b" / "a.txt").write_bytes(
        b"one two\n\n \xff\xfe\nfail\n" + b"x" * 70_000 + b"\nlast"
    )
    return folder


def rows_of(folder):
    tables = [parquet.read_table(path).to_pylist() for path in sorted(folder.glob("*.parquet"))]
    return [row for table in tables for row in table]


def bad_of(folder):
    texts = [path.read_text() for path in sorted(folder.glob("_bad_lines/*.jsonl"))]
    return [json.loads(line) for text in texts for line in text.splitlines()]


def test_each_line_has_its_vectors(model, corpus, tmp_path):
    out = tmp_path / "vectors"
    counts = embed(Embedding(model, f"{corpus}/*.gz", str(out), lines_per_shard=10, batch_size=4))
    rows = rows_of(out)
    assert [(row["file"], row["line"], row["text"]) for row in rows] == [
        (f"{corpus}/a.txt.gz", i + 1, line.strip()) for i, line in enumerate(LINES)
    ]
    for row in rows:
        words = row["text"].split()
        expected = [[2.0 * len(word), float(place)] for place, word in enumerate(words)]
        assert row["sequence_output"] == expected  # no padding, whatever shared its batch
        assert row["tokens"] == len(words)
    tokens = sum(len(line.split()) for line in LINES)
    assert counts == {
        "shards": 3,
        "shards_done_before": 0,
        "lines": 23,
        "sentences": 23,
        "tokens": tokens,
        "blank_lines": 0,
        "failures": 0,
        "unreadable_files": 0,
    }


def test_nothing_is_lost(model, corpus, tmp_path):
    out = tmp_path / "vectors"
    counts = embed(Embedding(model, f"{corpus}/b/*", str(out), batch_size=4))
    assert [(row["line"], row["text"]) for row in rows_of(out)] == [(1, "one two"), (6, "last")]
    bad = bad_of(out)
    assert [each["line"] for each in bad] == [3, 4, 5]
    assert "not UTF-8" in bad[0]["reason"]
    assert "cannot read this" in bad[1]["reason"]
    assert "70000 bytes" in bad[2]["reason"]
    assert base64.b64decode(bad[0]["raw"]) == b" \xff\xfe"
    assert bad[0]["path"] == str(corpus / "b" / "a.txt")
    assert (counts["lines"], counts["sentences"], counts["blank_lines"], counts["failures"]) == (
        6, 2, 1, 3,
    )  # fmt: skip


def test_what_is_done_is_not_done_again(model, corpus, tmp_path):
    out = tmp_path / "vectors"
    embedding = Embedding(model, f"{corpus}/*.gz", str(out), lines_per_shard=10)
    embed(embedding)
    before = {path: path.stat().st_mtime_ns for path in out.glob("*.parquet")}
    lost = sorted(before)[1]
    lost.unlink()
    counts = embed(embedding)
    assert (counts["shards"], counts["shards_done_before"]) == (1, 2)
    assert len(rows_of(out)) == 23
    assert all(path.stat().st_mtime_ns == when for path, when in before.items() if path != lost)


def test_tfrecord_has_the_same(model, corpus, tmp_path):
    out = tmp_path / "vectors"
    outputs = ("sequence_output", "sum", "mask")
    embed(Embedding(model, f"{corpus}/*.gz", str(out), outputs=outputs, file_format="tfrecord"))
    (path,) = out.glob("*.tfrecord")
    records = [tf.train.Example.FromString(r.numpy()) for r in tf.data.TFRecordDataset(str(path))]
    assert len(records) == 23
    feature = records[2].features.feature
    assert feature["file"].bytes_list.value[0] == f"{corpus}/a.txt.gz".encode()
    assert feature["text"].bytes_list.value[0] == b"word2 word2 word2"
    shape = feature["sequence_output_shape"].int64_list.value
    values = np.reshape(feature["sequence_output"].float_list.value, shape)
    np.testing.assert_array_equal(values, [[10, 0], [10, 1], [10, 2]])
    assert list(feature["sum"].float_list.value) == [10.0]
    assert list(feature["mask"].int64_list.value) == [1, 1, 1]


def test_a_killed_run_goes_on(model, corpus, tmp_path):
    """Killed by SIGKILL after its first shard; the same command then completes."""
    out = tmp_path / "vectors"
    many = corpus / "many.txt"
    many.write_text("".join(f"line {i}\n" for i in range(4000)))
    command = [
        *(sys.executable, "-m", "polysemy.cli", "embed", model),
        *("--input", str(many), "--output", str(out), "--lines-per-shard", "10"),
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not list(out.glob("*.parquet")) and process.poll() is None:
            time.sleep(0.01)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    done = len(list(out.glob("*.parquet")))
    assert 0 < done < 400
    embedding = Embedding(model, str(many), str(out), lines_per_shard=10)
    counts = embed(embedding)
    assert counts["shards_done_before"] == done and counts["shards"] == 400 - done
    assert sorted(row["line"] for row in rows_of(out)) == list(range(1, 4001))


def done_before(counts):
    return counts["shards"], counts["shards_done_before"]


def test_outputs_do_not_depend_on_the_run(model, corpus, tmp_path, monkeypatch):
    """Each folder for itself, then both together, by absolute and by relative paths."""
    out = tmp_path / "vectors"
    (corpus / "a").mkdir()
    (corpus / "a" / "a.txt").write_text("of the first\n")
    (corpus / "b" / "a.txt").write_text("of the second\n")
    for pattern in (f"{corpus}/a/*", f"{corpus}/b/*"):
        assert done_before(embed(Embedding(model, pattern, str(out)))) == (1, 0)
    monkeypatch.chdir(corpus)
    for pattern in (f"{corpus}/*/a.txt", "*/a.txt", "a/*"):
        assert embed(Embedding(model, pattern, str(out)))["shards"] == 0
    assert sorted((row["file"], row["text"]) for row in rows_of(out)) == [
        (f"{corpus}/a/a.txt", "of the first"),
        (f"{corpus}/b/a.txt", "of the second"),
    ]


def test_changed_lines_are_embedded_again(model, corpus, tmp_path):
    out = tmp_path / "vectors"
    path = corpus / "grows.txt"
    embedding = Embedding(model, str(path), str(out), lines_per_shard=2)

    def run(text):
        path.write_text(text)
        counts = embed(embedding)
        assert [row["text"] for row in rows_of(out)] == [t for t in text.split("\n") if t]
        assert len(list(out.glob("*.parquet"))) == sum(done_before(counts))
        return done_before(counts)

    assert run("a\nb\nc") == (2, 0)
    assert run("a\nb\nc\nd\ne\n") == (2, 1)  # added at the end
    assert run("a\nX\nc\nd\ne\n") == (1, 2)  # changed within
    assert run("a\nX\n") == (0, 1)  # cut off
    assert run("") == (1, 0)


def test_what_is_outdated_goes_with_its_bad_lines(model, corpus, tmp_path):
    out = tmp_path / "vectors"
    path = corpus / "b" / "a.txt"
    embedding = Embedding(model, str(path), str(out), lines_per_shard=4)
    embed(embedding)
    assert [bad["line"] for bad in bad_of(out)] == [3, 4, 5]
    old = {each: each.read_bytes() for each in out.glob("**/*.*") if each.name[0] != "_"}
    path.write_bytes(path.read_bytes().replace(b"\nfail", b"\nrepaired"))
    embed(embedding)
    assert [bad["line"] for bad in bad_of(out)] == [3, 5]
    for each, content in old.items():  # as a kill leaves it before the old output is deleted
        each.write_bytes(content)
    assert done_before(embed(embedding)) == (0, 2)
    assert [bad["line"] for bad in bad_of(out)] == [3, 5]
    assert [row["text"] for row in rows_of(out)] == ["one two", "repaired", "last"]


@pytest.mark.parametrize("module", [gzip, bz2, lzma, zstd])
def test_a_cut_off_file_is_told_of(model, tmp_path, module):
    out = tmp_path / "vectors"
    path = tmp_path / f"x.{ {gzip: 'gz', bz2: 'bz2', lzma: 'xz', zstd: 'zst'}[module] }"
    lines = [f"line {i} {i * i}" for i in range(25)]
    whole = module.compress("\n".join(lines).encode())
    embedding = Embedding(model, str(path), str(out), lines_per_shard=10)
    path.write_bytes(whole[:-5])
    counts = embed(embedding)
    assert counts["unreadable_files"] == 1
    assert unreadable_files(embedding) == [str(path)]
    (bad,) = bad_of(out)
    assert bad["path"] == str(path) and bad["raw"] == ""
    assert bad["reason"].startswith("the file cannot be read to its end: Compressed file ended")
    assert bad["line"] == counts["lines"] + 1 == 10 * counts["shards"] + 1  # whole shards
    assert [row["text"] for row in rows_of(out)] == lines[: counts["lines"]]

    path.write_bytes(b"")
    assert embed(embedding)["unreadable_files"] == 1
    path.write_bytes(whole)
    assert done_before(embed(embedding)) == (3 - counts["shards"], counts["shards"])
    assert bad_of(out) == unreadable_files(embedding) == []
    assert [row["text"] for row in rows_of(out)] == lines


def test_a_broken_file_does_not_stop_the_others(model, corpus, tmp_path, capsys):
    out = tmp_path / "vectors"
    for ending in ("gz", "zst"):
        (corpus / f"z.txt.{ending}").write_text("not packed at all")
    lines = "".join(f"line {i}\n" for i in range(5000))
    damaged = bytearray(gzip.compress(lines.encode(), compresslevel=0))
    damaged[-20] ^= 1  # the checksum is wrong then
    (corpus / "c.txt.gz").write_bytes(damaged)
    command = ["embed", model, "--input", f"{corpus}/*z*", "--output", str(out)]
    assert cli.main(command) == 1
    captured = capsys.readouterr()
    counts = json.loads(captured.out)
    assert counts["unreadable_files"] == 3 and counts["failures"] == 0
    assert captured.err.strip().split("\n")[-1] == (
        f"Error: Files that cannot be read to their end: 3, first {corpus}/c.txt.gz. "
        f"{out}/_bad_lines tells where and why."
    )
    records = {bad["path"]: bad for bad in bad_of(out)}
    assert "CRC check failed" in records[f"{corpus}/c.txt.gz"]["reason"]
    assert records[f"{corpus}/c.txt.gz"]["line"] > 1
    for name, words in ("z.txt.gz", "Not a gzipped file"), ("z.txt.zst", "Unknown frame"):
        assert words in records[f"{corpus}/{name}"]["reason"]
    rows = rows_of(out)
    assert sum(row["file"] == f"{corpus}/a.txt.gz" for row in rows) == len(LINES)
    assert len(rows) == len(LINES) + records[f"{corpus}/c.txt.gz"]["line"] - 1


@pytest.mark.parametrize("outputs", [(), ("mask", "sum", "first")])
def test_the_folder_is_one_data_set(model, tmp_path, outputs):
    """Whatever files begin it: empty, all blank, all bad, hidden by their names."""
    out = tmp_path / "vectors"
    contents = {"0": "", "1": "\n \n", "2": "fail\n", "3": "a bc", "_": "hidden", ".": "dotted"}
    for name, text in contents.items():
        (tmp_path / f"{name}.txt").write_text(text)
    embed(Embedding(model, f"{tmp_path}/*.txt", str(out), outputs=outputs))
    assert len(list(out.glob("*.parquet"))) == 6
    schemas = {parquet.read_schema(path) for path in out.glob("*.parquet")}
    assert len(schemas) == 1
    rows = parquet.read_table(str(out)).to_pylist()
    assert sorted(row["text"] for row in rows) == ["a bc", "dotted", "hidden"]
    (row,) = (row for row in rows if row["text"] == "a bc")
    if outputs:
        assert (row["mask"], row["sum"], row["first"]) == ([1, 1], 2.0, b"a")
    else:
        assert row["sequence_output"] == [[2.0, 0.0], [4.0, 1.0]]


def test_a_byte_order_mark_is_no_text(model, tmp_path):
    path = tmp_path / "x.txt"
    path.write_text("\ufeffone\n\ufefftwo\n", encoding="utf-8")
    embed(Embedding(model, str(path), str(tmp_path / "vectors"), lines_per_shard=1))
    assert [row["text"] for row in rows_of(tmp_path / "vectors")] == ["one", "\ufefftwo"]


def test_long_names_are_cut(model, tmp_path):
    path = tmp_path / ("語" * 80)
    path.write_text("one\n")
    embed(Embedding(model, str(path), str(tmp_path / "vectors")))
    assert rows_of(tmp_path / "vectors")[0]["file"] == str(path)


def test_misspelt_options_are_refused(capsys):
    command = ["embed", "model", "--input", "x"]
    for wrong, right in [("--outptu", "--output"), ("--batch_size=4", "--batch-size")]:
        assert cli.main([*command, wrong, "y"]) == 1
        message = f"No such option: {wrong.partition('=')[0]}. Did you mean {right}?"
        assert message in capsys.readouterr().err


def test_mistakes_are_named(model, corpus, tmp_path):
    out = str(tmp_path / "vectors")
    with pytest.raises(ValueError, match=r"`input` must match .* Received: input='/nowhere"):
        embed(Embedding(model, "/nowhere/*.txt", out))
    with pytest.raises(ValueError, match="`file_format` must be one of parquet, tfrecord"):
        Embedding(model, "x", out, file_format="csv")
    with pytest.raises(ValueError, match="`batch_size` must be at least 1. Received: batch_size=0"):
        Embedding(model, "x", out, batch_size=0)
    with pytest.raises(ValueError, match=r"`output` must be without .* output='a\?'"):
        Embedding(model, "x", "a?")
    with pytest.raises(ValueError, match=r"Received: signature='nothing'$"):
        embed(Embedding(model, f"{corpus}/*.gz", out, signature="nothing"))
    with pytest.raises(ValueError, match=r"`outputs` must be of .* Received: elmo$"):
        embed(Embedding(model, f"{corpus}/*.gz", out, outputs=("elmo",)))
    embed(Embedding(model, f"{corpus}/*.gz", out))  # those wrote no vectors, and claim nothing
    with pytest.raises(ValueError, match="outputs: \\[\\] there, \\['sum'\\] now"):
        embed(Embedding(model, f"{corpus}/*.gz", out, outputs=("sum",)))
