"""Tokens that a Hugging Face folder adds to a vocabulary, or finds in text as they stand."""

from .huggingface import read_json

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
    tokens = []
    if (folder / "tokenizer.json").is_file():
        tokens = read_json(folder / "tokenizer.json").get("added_tokens") or []
    elif (folder / "tokenizer_config.json").is_file():
        by_id = read_json(folder / "tokenizer_config.json").get("added_tokens_decoder") or {}
        tokens = [{**token, "id": int(place)} for place, token in by_id.items()]
    return [{**dict.fromkeys(_PLAIN, False), **token} for token in tokens]
