"""From questions and contexts to answers, with a `BertSpanQA`, in TensorFlow's graph."""

import tensorflow as tf

from .preprocessor import one_of_each, texts
from .span_decoding import NONE, best_spans, windows


@tf.autograph.experimental.do_not_convert
def answer(model, questions, contexts, num_answers):
    """See `BertSpanQA.answer`."""
    if model.preprocessor is None:
        raise ValueError("`backbone` must have a vocabulary to read text. Received: none")
    if num_answers < 1:
        raise ValueError(f"`num_answers` must be at least 1. Received: num_answers={num_answers}")
    preprocessor = model.preprocessor
    questions, contexts = one_of_each(
        questions=texts("questions", questions), contexts=texts("contexts", contexts)
    )
    # Bytes that are no UTF-8 become one character each, so that characters can be counted.
    contexts = tf.strings.unicode_transcode(contexts, "UTF-8", "UTF-8")
    question = preprocessor.tokenize_ids(questions).merge_dims(1, 2)
    pieces = preprocessor.tokenize_with_offsets(contexts)
    context, starts, ends = (x.merge_dims(1, 2) for x in pieces)
    found = windows(question, context, model.window_length, model.stride, model.max_question_length)
    inputs = preprocessor.pack([found.question, found.context], _longest(found))
    outputs = model({name: inputs[name] for name in model.input}, training=False)
    rows = tf.size(contexts, tf.int64)
    spans = best_spans(
        found,
        outputs["start_logits"],
        outputs["end_logits"],
        rows,
        4 * num_answers + 16,  # some have the same text
        model.max_answer_length,
    )
    real = spans.scores > NONE / 2
    # A column more, so that there is something to gather from empty contexts.
    starts, ends = (tf.pad(x.to_tensor(0), [[0, 0], [0, 1]]) for x in (starts, ends))
    first = tf.where(real, tf.gather(starts, spans.first, batch_dims=1), 0)
    stop = tf.where(real, tf.gather(ends, spans.last, batch_dims=1), 0)
    whole = tf.broadcast_to(contexts[:, None], tf.shape(first))
    answers = tf.strings.substr(whole, first, stop - first, unit="UTF8_CHAR")
    kept = real & ~_repeated(answers, real)
    scores, order = tf.math.top_k(tf.where(kept, spans.scores, NONE), num_answers)
    real = scores > NONE / 2
    first, stop, answers = (
        tf.where(real, tf.gather(x, order, batch_dims=1), nothing)
        for x, nothing in ((first, 0), (stop, 0), (answers, ""))
    )
    best = answers[:, 0]
    if model.null_answers:
        rivals = tf.concat([scores, spans.null_scores[:, None]], axis=1)
        probabilities = tf.nn.softmax(rivals)[:, :-1]
        none = spans.null_scores - scores[:, 0] > model.null_threshold
        best = tf.where(none, "", best)
    else:
        probabilities = tf.nn.softmax(scores)
    return {
        "answer": best,
        "answers": answers,
        "starts": first,
        "ends": stop,
        "scores": scores,
        "probabilities": tf.where(real, probabilities, 0.0),
        "null_scores": spans.null_scores,
    }


def answer_signature(model):
    """The signature `answer` of a model with a preprocessor; none without one."""
    if model.preprocessor is None:
        return {}

    def signature(questions, contexts):
        return answer(model, questions, contexts, num_answers=5)

    inputs = {
        name: tf.TensorSpec([None], tf.string, name=name) for name in ("questions", "contexts")
    }
    return {"answer": {"inputs": inputs, "function": signature}}


def _repeated(answers, real):
    """(B, K) bool: whether a better answer has the same text, as often where a name comes back."""
    same = tf.equal(answers[:, :, None], answers[:, None, :]) & real[:, None, :]
    better = tf.range(tf.shape(answers)[1])
    return tf.reduce_any(same & (better[None, :] < better[:, None]), axis=2)


def _longest(found):
    lengths = found.question.row_lengths() + found.context.row_lengths() + 3
    return tf.cast(tf.reduce_max(tf.concat([lengths, [3]], 0)), tf.int32)
