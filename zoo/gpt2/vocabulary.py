"""Reads GPT-2's vocabularies."""

from pathlib import Path

from ..added_tokens import with_added_tokens
from ..huggingface import read_json
from ..json_entries import json_entry, tokens_in_order
from ..shown import shown
from ..text.byte_pair_files import END_OF_TEXT, has_byte_pairs, read_byte_pairs


def read_vocabulary(folder):
    """The vocabulary of a published checkpoint, as arguments of a `GPT2`.

    Args:
        folder: path. With the vocabulary and the merges in two files, else with `tokenizer.json`.

    Returns:
        dict: `vocabulary`, `merges` and `specials`; empty if there is no vocabulary.

    Raises:
        ValueError: the tokenizer is not GPT-2's, or a file is broken.
    """
    folder = Path(folder)
    content = {}
    if (folder / "tokenizer.json").is_file():
        content = read_json(folder / "tokenizer.json")
    if has_byte_pairs(folder):
        vocabulary, merges = read_byte_pairs(folder)
    elif content:
        vocabulary, merges = _from_tokenizer(folder / "tokenizer.json", content)
    else:
        return {}
    _check(folder, content)
    vocabulary, specials = with_added_tokens(vocabulary, folder, own=(END_OF_TEXT,))
    return {"vocabulary": vocabulary, "merges": merges, "specials": specials}


def _from_tokenizer(path, content):
    """Vocabulary and merges out of the `tokenizers` library's file."""
    model = json_entry(content, "model", path)
    if model.get("type") != "BPE":
        raise ValueError(
            f"`tokenizer.json` must be of a BPE model. Received: {str(path)!r} of type "
            f"{model.get('type')!r}"
        )
    merges = [_merge(merge, path) for merge in json_entry(model, "merges", path, list)]
    return tokens_in_order(json_entry(model, "vocab", path), path), merges


def _merge(merge, path):
    """The two tokens of a merge with a blank between them, as older files have it."""
    pair = merge.split(" ") if isinstance(merge, str) else merge
    if not (isinstance(pair, list) and len(pair) == 2 and {type(x) for x in pair} == {str}):
        raise ValueError(
            f"Each of `merges` in {path.name} must be two tokens. Received: {shown(merge)} in "
            f"{str(path)!r}"
        )
    return " ".join(pair)


def _check(folder, content):
    """Refuses what puts something in front of a text, or splits it by other rules."""
    options = {}
    if (folder / "tokenizer_config.json").is_file():
        options = read_json(folder / "tokenizer_config.json")
    path = folder / "tokenizer.json"
    splitter = json_entry(content, "pre_tokenizer", path) or {"type": "ByteLevel"}
    around = json_entry(json_entry(content, "post_processor", path), "single", path, list)
    problems = [
        f"{name} must be False"
        for name, found in (
            ("add_prefix_space", splitter.get("add_prefix_space", False)),
            ("add_prefix_space", options.get("add_prefix_space", False)),
            ("add_bos_token", options.get("add_bos_token", False)),
        )
        if found
    ]
    if splitter.get("type") != "ByteLevel" or not splitter.get("use_regex", True):
        problems.append("the pre_tokenizer must be ByteLevel with GPT-2's pattern")
    if content.get("normalizer") is not None:
        problems.append("there must be no normalizer")
    if len(around) > 1:
        problems.append("the post_processor must put nothing around a text")
    if problems:
        raise ValueError(
            f"The tokenizer must be GPT-2's. Received: {str(folder)!r}, where "
            + "; ".join(dict.fromkeys(problems))
        )
