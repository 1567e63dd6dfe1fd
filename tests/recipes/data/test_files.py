import pytest

from polysemy.recipes.data.files import resolve


def test_finds_plain_or_gzip(tmp_path):
    (tmp_path / "ner").mkdir()
    (tmp_path / "ner/a.txt.gz").touch()
    (tmp_path / "ner/b.txt").touch()
    assert resolve(tmp_path, "ner/a.txt").name == "a.txt.gz"
    assert resolve(str(tmp_path), "ner/b.txt.gz").name == "b.txt"


def test_missing_file_says_what_is_there(tmp_path):
    (tmp_path / "ner").mkdir()
    (tmp_path / "ner/b.txt").touch()
    with pytest.raises(FileNotFoundError, match=r"data.root.*ner/a.txt.*/ner exists.*: b.txt\."):
        resolve(tmp_path, "ner/a.txt")
    with pytest.raises(FileNotFoundError, match="holds: ner"):
        resolve(tmp_path, "pos/x/a.txt")
    with pytest.raises(FileNotFoundError, match="data.root=.*nowhere"):
        resolve(tmp_path / "nowhere", "a.txt")


@pytest.mark.parametrize("root", [None, ""])
def test_root_must_be_given(root):
    with pytest.raises(ValueError, match="`data.root` must be the folder.*--set data.root"):
        resolve(root, "a.txt")
