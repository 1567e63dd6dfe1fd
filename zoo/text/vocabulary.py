import shutil
import tempfile
import weakref
from pathlib import Path

import tensorflow as tf


class Vocabulary(tf.Module):
    """Words to ids and back, in TensorFlow's graph; the list leaves with a SavedModel as an asset.

    Args:
        words: list of str, each once, none empty or with a line break in it. The position is the
        id.
        unknown: str. The word whose id stands for all that is not in the list.

    Example:
    >>> vocabulary = Vocabulary(["<pad>", "<unk>", "a", "b"], unknown="<unk>")
    >>> vocabulary(tf.constant(["b", "c"])).numpy().tolist()
    [3, 1]
    """

    def __init__(self, words, unknown, name=None):
        super().__init__(name=name)
        self.words = [str(word) for word in words]
        self.unknown = unknown
        seen = set()
        for word in self.words:
            if not word or "\n" in word or "\r" in word or word in seen:
                raise ValueError(
                    "`words` must be distinct, not empty and without line breaks. "
                    f"Received: {word!r}"
                )
            seen.add(word)
        if unknown not in seen:
            raise ValueError(f"`unknown` must be one of `words`. Received: unknown={unknown!r}")
        # TensorFlow reads the file now and copies it at export, so it must live as long as the
        # object.
        folder = tempfile.mkdtemp(prefix="polysemy-vocabulary-")
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        path = Path(folder) / "vocabulary.txt"
        path.write_bytes(("\n".join(self.words) + "\n").encode("utf-8"))
        # Tracked under its own name: a SavedModel that is loaded and saved again keeps its assets.
        self.initializer = tf.lookup.TextFileInitializer(
            str(path),
            tf.string,
            tf.lookup.TextFileIndex.WHOLE_LINE,
            tf.int64,
            tf.lookup.TextFileIndex.LINE_NUMBER,
            vocab_size=len(self.words),
        )
        self.table = tf.lookup.StaticHashTable(
            self.initializer, default_value=self.words.index(unknown)
        )

    def __len__(self):
        return len(self.words)

    def __call__(self, tokens):
        """String tensor of any shape -> int32 of the same shape."""
        return tf.cast(self.table.lookup(tokens), tf.int32)

    def words_of(self, ids):
        """Int tensor of any shape -> the words, string of the same shape."""
        return tf.gather(tf.constant(self.words), ids)
