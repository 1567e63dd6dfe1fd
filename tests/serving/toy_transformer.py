"""A stand-in for BERT: a preprocessor with the hooks for TF Hub's text conventions, an encoder."""

import keras
import tensorflow as tf

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "river", "bank", "rob", "##bed", "."]


class ToyWordPieces(tf.Module):
    """Words at white space; "robbed" is two pieces, other words one; `table` gives their ids."""

    def __init__(self, table):
        super().__init__()
        self.table = table

    def tokenize(self, sentences):
        return tf.strings.split(sentences)

    def tokenize_ids(self, sentences):
        """(B,) string -> (B, (words), (pieces)) int32."""
        words = self.tokenize(sentences)
        pieces = tf.strings.regex_replace(words.flat_values, "robbed", "rob ##bed")
        ids = tf.ragged.map_flat_values(self.table.lookup, tf.strings.split(pieces))
        return words.with_flat_values(tf.cast(ids, tf.int32))

    def tokenize_with_offsets(self, sentences):
        ids = self.tokenize_ids(sentences)
        return ids, tf.zeros_like(ids), tf.ones_like(ids)

    def pack(self, segments, seq_length):
        """Like BERT's: [CLS] a [SEP] b [SEP], each segment cut to an equal share."""
        flat = [s.merge_dims(1, -1) if s.ragged_rank > 1 else s for s in segments]
        share = (seq_length - 1 - len(flat)) // len(flat)
        batch = flat[0].nrows()
        begin, end = tf.fill([batch, 1], 2), tf.fill([batch, 1], 3)
        parts, kinds = [begin], [tf.zeros([batch, 1], tf.int32)]
        for kind, segment in enumerate(flat):
            part = tf.concat([segment[:, :share], end], axis=1)
            parts.append(part)
            kinds.append(tf.ones_like(part) * kind)
        ids = tf.concat(parts, axis=1)
        shape = tf.stack([-1, seq_length])
        return {
            "token_ids": ids.to_tensor(0, shape=shape),
            "segment_ids": tf.concat(kinds, axis=1).to_tensor(0, shape=shape),
            "padding_mask": tf.ones_like(ids, tf.bool).to_tensor(False, shape=shape),
        }

    def special_tokens(self):
        names = ("padding_id", "start_of_sequence_id", "end_of_segment_id", "mask_id")
        return {"vocab_size": len(PIECES), **dict(zip(names, (0, 2, 3, 4), strict=True))}

    def __call__(self, sentences):
        return self.pack([self.tokenize_ids(tf.convert_to_tensor(sentences))], 8)


class ToyTransformer(keras.Model):
    """Outputs as a transformer backbone names them; two "layers" of one dense layer each."""

    def __init__(self, table, **kwargs):
        inputs = {
            name: keras.Input((None,), dtype=dtype, name=name)
            for name, dtype in [
                ("token_ids", "int32"),
                ("segment_ids", "int32"),
                ("padding_mask", "bool"),
            ]
        }
        hidden = keras.layers.Embedding(len(PIECES), 6, name="tokens")(inputs["token_ids"])
        hidden = hidden + keras.layers.Embedding(2, 6, name="segments")(inputs["segment_ids"])
        mask = keras.ops.cast(inputs["padding_mask"], hidden.dtype)[..., None]
        layers = [hidden]
        for i in range(2):
            layers.append(keras.layers.Dense(6, "tanh", name=f"layer_{i}")(layers[-1]) * mask)
        # Without attention the first token knows nothing of the others: their mean stands in.
        pooled = keras.layers.Dense(6, "tanh", name="pooler")(keras.ops.mean(layers[-1], axis=1))
        super().__init__(
            inputs=inputs,
            outputs={
                "sequence_output": layers[-1],
                "pooled_output": pooled,
                "layer_outputs": keras.ops.stack(layers, axis=1),
            },
            **kwargs,
        )
        self.preprocessor = ToyWordPieces(table)
