import keras

from ..preprocessor import Preprocessor
from ..text.characters import character_ids


@keras.saving.register_keras_serializable(package="polysemy")
class ElmoPreprocessor(Preprocessor):
    """Text to `character_ids` (B, L, C) int32 and `padding_mask` (B, L) bool.

    Sentences are split at white space; `tokens` takes them split already. There is no vocabulary.

    Args:
        max_characters: int. C; a word longer than C - 2 bytes is cut.
        sequence_length: int or None. Cut and pad to this many tokens.

    Example:
    >>> inputs = ElmoPreprocessor()(["a cat", "one two three"])
    >>> inputs["character_ids"].shape, inputs["padding_mask"].numpy().sum(axis=1).tolist()
    (TensorShape([2, 3, 50]), [2, 3])
    """

    def __init__(self, max_characters=50, sequence_length=None, name=None):
        super().__init__(sequence_length=sequence_length, name=name)
        if max_characters < 3:
            raise ValueError(
                f"`max_characters` must be at least 3. Received: max_characters={max_characters}"
            )
        self.max_characters = max_characters

    def encode(self, tokens):
        return {"character_ids": character_ids(tokens, self.max_characters)}

    def get_config(self):
        return {**super().get_config(), "max_characters": self.max_characters}
