"""What served heads of BERT answer: text in, answers out."""

import tensorflow as tf

from ..tagger.serving import tag_strings


def label_strings(labels, outputs):
    """A classifier's outputs by name: see `BertTextClassifier.serving_outputs`."""
    if "probabilities" not in outputs:
        return {"score": outputs["logits"][:, 0]}
    probabilities = outputs["probabilities"]
    names = tf.constant(labels)
    best = tf.argmax(probabilities, axis=1)
    return {
        "label": tf.gather(names, best),
        "probability": tf.reduce_max(probabilities, axis=1),
        "labels": tf.broadcast_to(names, tf.shape(probabilities)),
        "probabilities": probabilities,
    }


def pair_signature(model):
    """The signature `pairs` of a model whose preprocessor takes pairs; none without one."""
    if model.preprocessor is None:
        return {}

    def pairs(sentences, pairs):
        inputs = model.preprocessor(sentences, pairs)
        return model.serving_outputs(_call(model, inputs), inputs)

    inputs = {name: tf.TensorSpec([None], tf.string, name=name) for name in ("sentences", "pairs")}
    return {"pairs": {"inputs": inputs, "function": pairs}}


def _call(model, inputs):
    # Keras's layers are written for tracing without AutoGraph.
    return tf.autograph.experimental.do_not_convert(model)(inputs, training=False)


def guesses(model, outputs, inputs, top_k):
    """The likeliest pieces at each masked position: see `BertMaskedLM.serving_outputs`.

    Args:
        model: with a preprocessor. outputs: its `logits` (B, P, V). inputs: `token_ids` and
            `mask_positions`. top_k: int or scalar tensor; at most V.
    """
    pieces = model.preprocessor.word_piece.vocabulary
    # Token vectors beyond the vocabulary stand for nothing.
    logits = outputs["logits"][..., : len(pieces)]
    probabilities, ids = tf.math.top_k(tf.nn.softmax(logits), tf.minimum(top_k, len(pieces)))
    at = tf.gather(inputs["token_ids"], inputs["mask_positions"], batch_dims=1)
    masked = tf.equal(at, model.preprocessor.special_tokens()["mask_id"])[..., None]
    return {
        "tokens": tf.where(masked, pieces.words_of(ids), ""),
        "probabilities": tf.where(masked, probabilities, 0.0),
    }


def fill_mask_signature(model):
    """The signature `fill_mask` of a model whose preprocessor finds "[MASK]"; none without one.

    A server fills in `top_k` where a request leaves it out: the model's own, or 5.
    """
    if model.preprocessor is None:
        return {}
    inputs = {
        "sentences": tf.TensorSpec([None], tf.string, name="sentences"),
        "top_k": tf.TensorSpec([], tf.int32, name="top_k"),
    }

    # SavedModels take the default value from the argument.
    @tf.function(input_signature=list(inputs.values()), autograph=False)
    def fill_mask(sentences, top_k=tf.constant(getattr(model, "top_k", 5))):  # noqa: B008
        check = tf.debugging.Assert(
            top_k >= 1, ["`top_k` must be at least 1. Received: top_k =", top_k]
        )
        with tf.control_dependencies([check]):
            top_k = tf.identity(top_k)
        features = model.preprocessor(sentences)
        return guesses(model, _call(model, features), features, top_k)

    return {"fill_mask": {"inputs": inputs, "function": fill_mask}}


def word_tags(tags, outputs, inputs):
    """The words and their tags: see `BertTagger.serving_outputs`."""
    mask, tokens = inputs["word_mask"], inputs["tokens"]
    # The export makes the tokens as wide as the pieces.
    width = tf.shape(mask)[1]
    tokens = tf.pad(tokens[:, :width], [[0, 0], [0, tf.maximum(width - tf.shape(tokens)[1], 0)]])
    return tag_strings(tags, outputs, tokens, mask)
