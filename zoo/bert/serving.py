"""What served heads of BERT answer: text in, answers out."""

import tensorflow as tf


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
