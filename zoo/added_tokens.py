"""Tokens that a Hugging Face folder adds to a vocabulary, or finds in text as they stand."""

from .huggingface import read_json
from .json_entries import json_entry
from .shown import shown

# The options of a token that is found in text as it stands.
_PLAIN = {
    "lstrip": False,
    "normalized": False,
    "rstrip": False,
    "single_word": False,
    "special": True,
}


def with_added_tokens(vocabulary, folder, own):
    """A vocabulary with the tokens that a folder adds to it, and those that are found in text.

    Args:
        vocabulary: list of str, in the order of ids.
        folder: path. With `tokenizer.json` or `tokenizer_config.json`, or neither.
        own: tokens that are found in text in any case.

    Returns:
        (list of str, list of str): the longer vocabulary; the tokens out of it, beside `own`, that
        are found in text.

    Raises:
        ValueError: the tokens do not follow the vocabulary, or are not found as they stand: in text
            that is normalized, as whole words only, or with the white space beside them.
    """
    found = sorted(_read(folder), key=lambda token: token["id"])
    extended, specials = list(vocabulary), []
    for token in found:
        content, place = token["content"], token["id"]
        if place == len(extended) and content not in extended:
            extended.append(content)
        if not (0 <= place < len(extended) and extended[place] == content):
            raise ValueError(
                "Added tokens must be of the vocabulary, or have the ids that follow its own. "
                f"Received: {content!r} with id {place}, {len(vocabulary)} tokens in {folder}"
            )
        if content in own:
            continue
        wrong = {name: token[name] for name, value in _PLAIN.items() if token[name] != value}
        if wrong:
            raise ValueError(
                "Added tokens must be special ones, found in text as they stand. Received: "
                f"{content!r} with {wrong} in {folder}"
            )
        specials.append(content)
    return extended, specials


def tokenizer_entry(specials, vocabulary):
    """The entries of `tokenizer_config.json` for tokens that are found in text; none for none."""
    if not specials:
        return {}
    return {
        "added_tokens_decoder": {
            str(vocabulary.index(token)): {"content": token, **_PLAIN} for token in specials
        }
    }


def _read(folder):
    """A dict for each added token, with all its options."""
    path = folder / "tokenizer.json"
    if path.is_file():
        tokens = json_entry(read_json(path), "added_tokens", path, list)
        return [_token(token, path) for token in tokens]
    path = folder / "tokenizer_config.json"
    if not path.is_file():
        return []
    by_id = json_entry(read_json(path), "added_tokens_decoder", path)
    places = {place: int(place) if place.isdecimal() else None for place in by_id}
    return [
        _token({**json_entry(by_id, place, path), "id": places[place]}, path) for place in by_id
    ]


def _token(token, path):
    known = isinstance(token, dict) and isinstance(token.get("content"), str)
    if not known or type(token.get("id")) is not int:
        raise ValueError(
            f"Each added token in {path.name} must have a `content` and a whole number as its id. "
            f"Received: {shown(token)} in {str(path)!r}"
        )
    return {**dict.fromkeys(_PLAIN, False), **token}
