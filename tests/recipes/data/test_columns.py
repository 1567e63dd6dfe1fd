import gzip

import pytest

from polysemy.recipes.data.columns import read_columns

CONLL = """-DOCSTART- -X- O O

EU NNP I-NP I-ORG
rejects VBZ I-VP O

-DOCSTART- -X- O O

Paris NNP I-NP I-LOC
London NNP I-NP B-LOC
"""


def write(tmp_path, text, name="corpus.txt"):
    path = tmp_path / name
    data = text if isinstance(text, bytes) else text.encode("utf-8")
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return path


@pytest.mark.parametrize("name", ["corpus.txt", "corpus.txt.gz"])
def test_conll_2003_layout(tmp_path, name):
    path = write(tmp_path, CONLL, name)
    sentences = read_columns(
        path, {"tokens": 0, "pos": 1, "tags": -1}, source_scheme="IOB1", target_scheme="BIOES"
    )
    assert list(sentences) == [
        {"tokens": ["EU", "rejects"], "pos": ["NNP", "VBZ"], "tags": ["S-ORG", "O"], "document": 0},
        {
            "tokens": ["Paris", "London"],
            "pos": ["NNP", "NNP"],
            "tags": ["S-LOC", "S-LOC"],
            "document": 1,
        },
    ]


def test_streams(tmp_path):
    """The first sentence comes out although a later line is damaged."""
    path = write(tmp_path, "a O\n\nb\n")
    sentences = read_columns(path)
    assert next(sentences)["tokens"] == ["a"]
    with pytest.raises(ValueError, match=r"corpus.txt, line 3: .* 2 columns.* 1 in 'b'"):
        next(sentences)


def test_sentences_before_the_first_marker_are_a_document(tmp_path):
    path = write(tmp_path, "a O\n\n-DOCSTART- O\n-DOCSTART- O\n\nb O\n-DOCSTART- O\nc O")
    found = [(s["tokens"], s["document"]) for s in read_columns(path)]
    assert found == [(["a"], 0), (["b"], 1), (["c"], 2)]


def test_marker_and_comments_are_optional(tmp_path):
    path = write(tmp_path, "# a O\n-DOCSTART- O\n#b O\n")
    columns = {"tokens": 0, "tags": -1}
    found = list(read_columns(path, columns, comment="# ", document_marker=None))
    assert [s["tokens"] for s in found] == [["-DOCSTART-", "#b"]]


def test_separators(tmp_path):
    path = write(tmp_path, "New York\tB-LOC\nx\u00a0y\tO\n")
    assert next(read_columns(path, separator="\t"))["tokens"] == ["New York", "x\u00a0y"]
    path = write(tmp_path, "x\u00a0y  \t O\r\n\r\n\u3000 O\r\n")
    assert [s["tokens"] for s in read_columns(path)] == [["x\u00a0y"], ["\u3000"]]


def test_skipped_columns(tmp_path):
    path = write(tmp_path, "a X O\n")
    assert next(read_columns(path, ("tokens", None, "tags"))) == {
        "tokens": ["a"],
        "tags": ["O"],
        "document": 0,
    }


def test_invalid_bytes_are_replaced_and_a_byte_order_mark_is_dropped(tmp_path):
    path = write(tmp_path, b"\xef\xbb\xbfa O\nb\xff O\n\xe4\xbd\xa0\xf0\x9f\x98\x80 O\n")
    assert next(read_columns(path))["tokens"] == ["a", "b\ufffd", "你😀"]


@pytest.mark.parametrize(
    ("text", "columns", "separator", "message"),
    [
        ("a O\nb\n", ("tokens", "tags"), None, "line 2.*must have 2 columns.*Received: 1"),
        ("a X O\n\nb O\n", {"tokens": 0, "tags": -1}, None, "line 3.*3 columns.*2 in 'b O'"),
        ("a O\nb c O\n", {"tokens": 0, "tags": -1}, None, "line 2.*2 columns.*Received: 3"),
        ("a\n", {"tokens": 0, "tags": -1}, None, "line 1.*2 columns.*Received: 1"),
        ("a\t\n", ("tokens", "tags"), "\t", "line 1: column 'tags' must not be empty"),
        ("a b\n", ("tokens", "tags"), "\t", r"line 1.*separated by '\\t'"),
    ],
)
def test_damaged_lines_name_file_and_line(tmp_path, text, columns, separator, message):
    path = write(tmp_path, text)
    with pytest.raises(ValueError, match="corpus.txt, " + message):
        list(read_columns(path, columns, separator=separator))


def test_tags_against_the_scheme_name_the_sentence(tmp_path):
    path = write(tmp_path, "a O\n\nb O\nc I-X\n")
    with pytest.raises(ValueError, match="sentence that starts at line 3.*'I-X' at position 1"):
        list(read_columns(path, source_scheme="BIO"))


def test_damaged_gzip_names_file_and_line(tmp_path):
    path = write(tmp_path, "a O\n\n" * 5000, "corpus.gz")
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ValueError, match="whole gzip file.*corpus.gz, damaged after line"):
        list(read_columns(path))


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="`path` must be a file.*nowhere"):
        next(read_columns(tmp_path / "nowhere"))
    with pytest.raises(FileNotFoundError, match="a folder"):
        next(read_columns(tmp_path))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"columns": "tokens"}, "`columns` must be names"),
        ({"columns": ()}, "at least one column"),
        ({"columns": ("a", "a")}, "each column once"),
        ({"columns": ("document",)}, "leave the name `document` free"),
        ({"separator": ""}, "`separator`"),
        ({"target_scheme": "BIO"}, "`source_scheme` must be given"),
        ({"source_scheme": "BIO", "tag_column": "ner"}, "`tag_column` must be one of"),
    ],
)
def test_bad_arguments(tmp_path, arguments, message):
    path = write(tmp_path, "a O\n")
    with pytest.raises(ValueError, match=message):
        next(read_columns(path, **arguments))


def test_empty_file(tmp_path):
    assert list(read_columns(write(tmp_path, "\n \n"))) == []
