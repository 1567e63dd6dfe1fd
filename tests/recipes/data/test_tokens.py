import gzip

from polysemy.recipes.data.tokens import read_tokens


def test_plain_and_gzip_alike(tmp_path):
    text = " = Title = \n\n \t\n a  b\u00a0c <unk> \r\n".encode() + b"\xff end"
    expected = [["=", "Title", "="], ["a", "b\u00a0c", "<unk>"], ["\ufffd", "end"]]
    for name, data in (("a.txt", text), ("a.gz", gzip.compress(text)), ("b", gzip.compress(text))):
        (tmp_path / name).write_bytes(data)
        assert [s["tokens"] for s in read_tokens(tmp_path / name)] == expected
