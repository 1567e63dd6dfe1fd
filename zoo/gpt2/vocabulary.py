"""Reads GPT-2's vocabularies."""

from pathlib import Path

from ..added_tokens import with_added_tokens
from ..huggingface import read_json
from ..text.byte_pair_files import END_OF_TEXT, has_byte_pairs, read_byte_pairs, tokens_in_order


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
    model = content.get("model") or {}
    if model.get("type") != "BPE" or not isinstance(model.get("vocab"), dict):
        raise ValueError(
            f"`tokenizer.json` must be of a BPE model. Received: {str(path)!r} of type "
            f"{model.get('type')!r}"
        )
    merges = [
        merge if isinstance(merge, str) else " ".join(merge) for merge in model.get("merges", ())
    ]
    return tokens_in_order(path, model["vocab"]), merges


def _check(folder, content):
    """Refuses what puts something in front of a text, or splits it by other rules."""
    options = {}
    if (folder / "tokenizer_config.json").is_file():
        options = read_json(folder / "tokenizer_config.json")
    splitter = content.get("pre_tokenizer") or {"type": "ByteLevel"}
    around = (content.get("post_processor") or {}).get("single", [])
    problems = [
        f"{name} must be False"
        for name, found in (
            ("add_prefix_space", splitter.get("add_prefix_space", False)),
            ("add_prefix_space", options.get("add_prefix_space", False)),
            ("add_bos_token", options.get("add_bos_token", False)),
        )
        if found
    ]
    if splitter["type"] != "ByteLevel" or not splitter.get("use_regex", True):
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
