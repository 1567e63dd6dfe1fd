"""Which layers of a model were frozen, or thawed, after it was made: a part of its config.

A layer is called by its path in the model, the names of the layers that hold it joined by "/".
"""

import keras


def layer_flags(model):
    """`trainable` of each layer with weights, at any depth: dict of path to bool."""
    return {path: layer.trainable for path, layer in _layers(model)}


def changed_flags(model, before):
    """What differs from `before`: dict of path to bool, without what follows from a layer above.

    Example:
    >>> from polysemy import zoo
    >>> model = zoo.GPT2.from_size("tiny", vocabulary_size=300)
    >>> before = layer_flags(model)
    >>> model.get_layer("block_0").trainable = False
    >>> changed_flags(model, before)
    {'block_0': False}
    """
    changes = {}
    if not model.trainable:  # nor is any of its layers
        return changes
    expected = dict(before)
    for path, layer in _layers(model):  # the layers above come first
        if layer.trainable != expected.get(path):
            changes[path] = layer.trainable
            below = (other for other in expected if other.startswith(f"{path}/"))
            expected.update(dict.fromkeys(below, layer.trainable))
    return changes


def set_flags(model, changes):
    """Gives the layers at these paths their flags; those that the model does not have are left."""
    for path, layer in _layers(model):
        if path in changes:
            layer.trainable = changes[path]


def _layers(parent, prefix=""):
    # Of a model, the layers of its graph: what it tracks besides is there only when it is made.
    in_graph = isinstance(parent, keras.Model)
    layers = parent.layers if in_graph else parent._flatten_layers(False, recursive=False)
    for layer in layers:
        if layer.weights:
            path = f"{prefix}{layer.name}"
            yield path, layer
            yield from _layers(layer, f"{path}/")
