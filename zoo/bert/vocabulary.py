"""Reads BERT's vocabularies, and finds out whether they are cased."""

from pathlib import Path

from ..added_tokens import with_added_tokens
from ..huggingface import read_json
from ..json_entries import json_entry, tokens_in_order
from ..text.word_piece_tokens import SPECIAL


def read_vocabulary(folder):
    """The vocabulary of a published checkpoint, and whether its text is made lower-case.

    Args:
        folder: path. With `vocab.txt`, else `tokenizer.json`; `tokenizer_config.json` may say more.

    Returns:
        dict: the arguments `vocabulary`, `lowercase` and `specials` of a `Bert`; empty if there is
        no vocabulary.

    Raises:
        ValueError: the tokenizer is not one of BERT's, or a file is broken.
    """
    folder = Path(folder)
    options = {}
    if (folder / "tokenizer_config.json").is_file():
        options = read_json(folder / "tokenizer_config.json")
    if (folder / "vocab.txt").is_file():
        pieces = _from_lines(folder / "vocab.txt")
    elif (folder / "tokenizer.json").is_file():
        pieces, options = _from_tokenizer(folder / "tokenizer.json", options)
    else:
        return {}
    lowercase = options.get("do_lower_case")
    if lowercase is None:
        # Google's folders do not say: an uncased vocabulary has no capital letters.
        lowercase = all(piece == piece.lower() for piece in pieces if piece not in SPECIAL)
    if options.get("strip_accents") not in (None, lowercase) or not options.get(
        "tokenize_chinese_chars", True
    ):
        raise ValueError(
            "The tokenizer must be BERT's: accents are stripped if and only if letters are made "
            f"small, and ideographs are words. Received: do_lower_case={lowercase}, "
            f"strip_accents={options.get('strip_accents')}, "
            f"tokenize_chinese_chars={options.get('tokenize_chinese_chars')}"
        )
    pieces, specials = with_added_tokens(pieces, folder, own=SPECIAL)
    return {"vocabulary": pieces, "lowercase": lowercase, "specials": specials}


def _from_lines(path):
    """Pieces out of a file that has one in each line."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path.name} must be UTF-8. Received: {str(path)!r} ({error})") from error
    # Not by `splitlines`: there are pieces that are line breaks to Unicode.
    pieces = text.split("\n")
    pieces = pieces[:-1] if pieces[-1] == "" else pieces
    return [piece.rstrip("\r") for piece in pieces]


def _from_tokenizer(path, options):
    """Pieces and options out of the `tokenizers` library's file."""
    content = read_json(path)
    model = json_entry(content, "model", path)
    normalizer = json_entry(content, "normalizer", path)
    if model.get("type", "WordPiece") != "WordPiece" or "vocab" not in model:
        raise ValueError(
            f"`tokenizer.json` must be of a WordPiece model. Received: {path} of type "
            f"{model.get('type')!r}"
        )
    pieces = tokens_in_order(json_entry(model, "vocab", path), path)
    if normalizer.get("type", "BertNormalizer") != "BertNormalizer":
        raise ValueError(
            f"`tokenizer.json` must have BERT's normalizer. Received: {path} with "
            f"{normalizer['type']!r}"
        )
    options = {
        "do_lower_case": normalizer.get("lowercase"),
        "strip_accents": normalizer.get("strip_accents"),
        "tokenize_chinese_chars": normalizer.get("handle_chinese_chars", True),
        **options,
    }
    return pieces, options
