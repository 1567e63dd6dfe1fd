"""Toy SavedModels of plain `tf.Module`s, made in moments, for the rows of the conformance suite."""

import tensorflow as tf

from polysemy.serving.protos import SavedModel

DTYPES = (
    "float32 float64 float16 bfloat16 int8 int16 int32 int64 uint8 uint16 uint32 uint64 bool "
    "complex64 complex128 string"
).split()
FEATURES = {
    "x": tf.io.FixedLenFeature([1], tf.float32),
    "name": tf.io.FixedLenFeature([], tf.string, default_value="nobody"),
}


def spec(name, *shape, dtype="float32"):
    return tf.TensorSpec(shape, dtype, name)


def signature(function, *specs):
    """A concrete function whose arguments keep the names of their specs."""
    return tf.function(function).get_concrete_function(**{item.name: item for item in specs})


def save(path, signatures, methods=(), defaults=(), module=None):
    """Writes a version; `methods` are pairs (signature, method), `defaults` (signature, input,
    value): what exporters of TensorFlow 2 cannot say themselves."""
    tf.saved_model.save(module or tf.Module(), str(path), signatures=signatures)
    if not methods and not defaults:
        return
    file = path / "saved_model.pb"
    saved = SavedModel.FromString(file.read_bytes())
    definitions = saved.meta_graphs[0].signature_def
    for name, method in methods:
        definitions[name].method_name = f"tensorflow/serving/{method}"
    for name, alias, value in defaults:
        definitions[name].defaults[alias].CopyFrom(tf.make_tensor_proto(value))
    file.write_bytes(saved.SerializeToString())


def save_pair(path, factor=2.0):
    """`difference` = a - factor * b and `total` (no batch dimension) of two (B, 2) inputs."""
    module = tf.Module()
    module.factor = tf.Variable(factor)

    def pair(a, b):
        return {"difference": a - module.factor * b}

    def totals(a, b):
        return {"sum": a + b, "total": tf.reduce_sum(a + b), "a": a}

    specs = spec("a", None, 2), spec("b", None, 2)
    functions = {"serving_default": signature(pair, *specs), "totals": signature(totals, *specs)}
    functions["constant"] = tf.function(lambda: {"answer": tf.constant(42)}).get_concrete_function()
    save(path, functions, module=module)


def save_power(path):
    """`y` = x ** n + m, where n (a scalar) is 3 and m is [1.0] by default."""

    def power(x, n, m):
        return {"y": x**n + m}

    specs = spec("x", None), spec("n"), spec("m", None)
    default = "serving_default"
    save(
        path,
        {default: signature(power, *specs)},
        defaults=[(default, "n", 3.0), (default, "m", [1.0])],
    )


def save_text(path):
    """Strings in and out: `upper` (B,), `length` (B,) int32, `words_bytes` (B, L) padded."""

    def text(sentences):
        words = tf.strings.split(sentences).to_tensor("")
        length = tf.strings.length(sentences)
        return {"upper": tf.strings.upper(sentences), "length": length, "words_bytes": words}

    save(path, {"serving_default": signature(text, spec("sentences", None, dtype="string"))})


def save_echo(path):
    """A signature for each dtype, named after it: `x` of any length comes back as `y`."""

    def echo(x):
        return {"y": tf.identity(x)}

    save(path, {name: signature(echo, spec("x", None, dtype=name)) for name in DTYPES})


def save_examples(path):
    """Classification and regression over serialized `tf.Example`s with features x and name."""

    def parsed(inputs):
        features = tf.io.parse_example(inputs, FEATURES)
        return features["x"], features["name"]

    def classify(inputs):
        x, name = parsed(inputs)
        classes = tf.stack([name, tf.fill(tf.shape(name), "other")], 1)
        return {"classes": classes, "scores": tf.concat([x, 1 - x], 1)}

    functions = {
        "classify": classify,
        "classes": lambda inputs: {"classes": classify(inputs)["classes"]},
        "scores": lambda inputs: {"scores": classify(inputs)["scores"]},
        "regress": lambda inputs: {"outputs": parsed(inputs)[0][:, 0] * 10},
        "column": lambda inputs: {"outputs": parsed(inputs)[0] * 10},
        "square": lambda inputs: {"outputs": tf.tile(parsed(inputs)[0], [1, 2])},
        "other_outputs": lambda inputs: {"y": parsed(inputs)[0]},
        "two_outputs": lambda inputs: {"outputs": parsed(inputs)[0], "y": parsed(inputs)[0]},
        "three_outputs": lambda inputs: {**classify(inputs), "y": parsed(inputs)[0]},
        "flat_scores": lambda inputs: {"scores": parsed(inputs)[0][:, 0]},
        "double_scores": lambda inputs: {"scores": tf.cast(parsed(inputs)[0], tf.float64)},
        "number_classes": lambda inputs: {"classes": parsed(inputs)[0]},
        "short": lambda inputs: {"scores": parsed(inputs)[0][:1], "classes": tf.constant([["a"]])},
        "uneven": lambda inputs: {**classify(inputs), "scores": parsed(inputs)[0]},
        "long_outputs": lambda inputs: {"outputs": tf.zeros(7)},
        "double_outputs": lambda inputs: {"outputs": tf.cast(parsed(inputs)[0], tf.float64)},
    }
    serialized = spec("inputs", None, dtype="string")
    signatures = {name: signature(value, serialized) for name, value in functions.items()}
    renamed = spec("examples", None, dtype="string")
    signatures["other_inputs"] = signature(lambda examples: classify(examples), renamed)
    signatures["two_inputs"] = signature(
        lambda inputs, more: classify(inputs), serialized, spec("more", None)
    )
    methods = [(name, "classify") for name in ("classify", "classes", "scores", "other_inputs")]
    methods += [(name, "regress") for name in ("regress", "column", "square", "long_outputs")]
    save(path, signatures, methods)


def save_unbatchable(path):
    """Outputs that a batch cannot be cut from: a scalar, another number of rows."""
    functions = {
        "scalar": lambda x: {"y": tf.reduce_sum(x)},
        "twice": lambda x: {"y": tf.concat([x, x], 0)},
        "rows": lambda x: {"y": x * 2, "rows": tf.fill(tf.shape(x)[:1], tf.shape(x)[0])},
    }
    save(path, {name: signature(value, spec("x", None, None)) for name, value in functions.items()})


def save_failing(path):
    """An op that fails on request, and work as long as asked for, which can be stopped."""

    def fail(x):
        with tf.control_dependencies([tf.debugging.assert_less(x, 5.0, "x is five or more")]):
            return {"y": tf.identity(x)}

    def work(steps):
        def step(i, x):
            return i + 1, tf.math.sin(x) + 1.0

        limit = tf.reduce_max(steps)
        _, x = tf.while_loop(lambda i, x: i < limit, step, [0, tf.zeros_like(steps, tf.float32)])
        return {"y": x}

    save(
        path,
        {
            "serving_default": signature(fail, spec("x", None)),
            "work": signature(work, spec("steps", None, dtype="int32")),
        },
    )


MODELS = {
    "pair": save_pair,
    "power": save_power,
    "text": save_text,
    "echo": save_echo,
    "examples": save_examples,
    "unbatchable": save_unbatchable,
    "failing": save_failing,
}
