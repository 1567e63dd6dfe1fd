"""Inside a Transformer: who attends to whom, in any layer and head, in a text or a pair."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import keras
import numpy as np

from ..zoo import GPT2, Bert
from ..zoo.preset import CONFIG, get_preset
from .attention_page import attention_page

BACKBONES = (Bert, GPT2)  # the models that can hand out their attention


@dataclasses.dataclass(frozen=True, eq=False)
class AttentionView:
    """The attention of all layers and heads over one text, as data and as pictures.

    Layers and heads count from 1, as in the papers: layer 1 is the one next to the embeddings.

    Shapes: N layers, H heads, L tokens.

    Attributes:
        tokens: list of str, as the model reads them, special ones too.
        segments: list of int, 0 for the text and 1 for its pair.
        probabilities: (N, H, L, L) float32. How much each token (the last axis but one) attends to
            each; a row sums to 1.
        title: str.

    Example:
    >>> uniform = np.full((2, 3, 4, 4), 0.25)
    >>> view = AttentionView(["[CLS]", "a", "cat", "[SEP]"], [0] * 4, uniform)
    >>> view.matrix(layer=2, head=1).shape
    (4, 4)
    """

    tokens: list[str]
    segments: list[int]
    probabilities: np.ndarray
    title: str = ""

    def matrix(self, layer: int | None = None, head: int | None = None) -> np.ndarray:
        """The attention (L, L) of one head, or of all heads of a layer on average.

        Args:
            layer: 1 to N; None is the last one.
            head: 1 to H; None is the mean.

        Raises:
            ValueError: there is no such layer or head.
        """
        layers, heads = self.probabilities.shape[:2]
        of_layer = self.probabilities[_index("layer", layers if layer is None else layer, layers)]
        return of_layer.mean(axis=0) if head is None else of_layer[_index("head", head, heads)]

    def strongest(self, layer=None, head=None, count=3) -> list[tuple[str, list]]:
        """Each token with those that it attends to most: pairs of token and probability."""
        found = []
        for token, row in zip(self.tokens, self.matrix(layer, head), strict=True):
            best = np.argsort(-row, kind="stable")[:count]
            found.append((token, [(self.tokens[i], float(row[i])) for i in best]))
        return found

    def to_dict(self, layer=None, head=None) -> dict:
        """Numbers and lists only: the tokens, and all the attention or that of a layer or a head.

        `attention` has the axes (layer, head, token, token) less those that are chosen.
        """
        attention = self.probabilities
        if head is not None or layer is not None:
            self.matrix(layer, head)  # checks both
            layer = len(attention) if layer is None else layer
            attention = attention[layer - 1]
            attention = attention if head is None else attention[head - 1]
        return {
            "title": self.title,
            "tokens": self.tokens,
            "segments": self.segments,
            "layer": layer,
            "head": head,
            "attention": np.round(attention.astype("float64"), 6).tolist(),
        }

    def save(self, path: str | Path, layer: int | None = None, head: int | None = None) -> Path:
        """Writes a file whose ending says what it is.

        Args:
            path: `.json`, see `to_dict`; `.png`, a picture of one head, or of all heads of a layer
                beside each other; `.html`, a page that needs no other file and no network, with all
                layers and heads to choose from, where `layer` and `head` are what it shows first.
            layer, head: see `matrix`.

        Raises:
            ValueError: the ending is another one; there is no such layer or head.
        """
        path = Path(path)
        self.matrix(layer, head)  # checks both before anything is written
        if path.suffix == ".json":
            text = json.dumps(self.to_dict(layer, head), ensure_ascii=False)
            path.write_text(text, encoding="utf-8")
        elif path.suffix == ".html":
            path.write_text(attention_page(self, layer, head), encoding="utf-8")
        elif path.suffix == ".png":
            self._draw(path, layer, head)
        else:
            raise ValueError(
                f"`path` must end in .json, .png or .html. Received: path={str(path)!r}"
            )
        return path

    def _draw(self, path, layer, head):
        from matplotlib.figure import Figure

        layers, heads, length, _ = self.probabilities.shape
        layer = layers if layer is None else layer
        chosen = list(range(1, heads + 1)) if head is None else [head]
        columns = min(len(chosen), 4)
        rows = -(-len(chosen) // columns)
        side = max(2.6, 0.22 * length + 0.9)
        figure = Figure(figsize=(side * columns, side * rows + 0.5), layout="constrained")
        for i, number in enumerate(chosen):
            axes = figure.add_subplot(rows, columns, i + 1)
            # The zero of the colors is white, their top the largest value of this head.
            axes.imshow(self.matrix(layer, number), cmap="Blues", vmin=0.0)
            axes.set_title(f"layer {layer} of {layers}, head {number} of {heads}", fontsize=9)
            axes.set_xticks(range(length), self.tokens, rotation=90, fontsize=7, parse_math=False)
            axes.set_yticks(range(length), self.tokens, fontsize=7, parse_math=False)
            axes.tick_params(length=0)
        figure.supylabel("attends", fontsize=9)
        figure.supxlabel("to", fontsize=9)
        if self.title:
            figure.suptitle(self.title, fontsize=10, parse_math=False)
        figure.savefig(path, dpi=120)


def attention_view(model: keras.Model, text: str, pair: str | None = None) -> AttentionView:
    """Runs a model on a text, or a pair, and keeps its attention.

    Args:
        model: a backbone that was built with `return_attention`, and with a vocabulary; see
            `load_with_attention`.
        text, pair: str. Only models that read segments read pairs.

    Raises:
        ValueError: the model has no attention or no vocabulary; the text has no token; a pair for a
            model that reads none.
    """
    preprocessor = getattr(model, "preprocessor", None)
    if "attention" not in model.output or preprocessor is None:
        raise ValueError(
            "`model` must have a vocabulary and the output `attention`; build or load it with "
            f"return_attention=True. Received: {type(model).__name__} with outputs "
            f"{sorted(model.output)}"
        )
    if pair is not None and "segment_ids" not in model.input:
        raise ValueError(
            f"`pair` must be None: {type(model).__name__} reads single texts. "
            f"Received: pair={pair!r}"
        )
    inputs = preprocessor([text]) if pair is None else preprocessor([text], [pair])
    used = int(np.sum(inputs["padding_mask"]))
    if not used:
        raise ValueError(f"`text` must hold at least one token. Received: text={text!r}")
    inputs = {name: x[:, :used] for name, x in inputs.items()}
    attention = keras.ops.convert_to_numpy(model(inputs, training=False)["attention"])[0]
    ids = np.array(inputs["token_ids"])[0]
    segments = np.array(inputs["segment_ids"])[0] if "segment_ids" in inputs else 0 * ids
    title = text if pair is None else f"{text} | {pair}"
    return AttentionView(_names(preprocessor, ids), segments.tolist(), attention, title)


def load_with_attention(name: str | Path) -> keras.Model:
    """Loads a model so that it hands out its attention.

    Args:
        name: a preset's name, a folder that `save_to_preset` wrote, or a published checkpoint's.

    Raises:
        FileNotFoundError: a file of the checkpoint is not there.
        ValueError: there is no such preset; or its model has no attention.
    """
    folder = Path(name)
    if folder.is_dir() and not _is_preset(folder):
        reader = GPT2 if _is_gpt2(folder) else Bert
        return reader.from_checkpoint(folder, return_attention=True)
    held = None
    if folder.is_dir():
        held = (folder / CONFIG).read_text(encoding="utf-8")
    else:
        get_preset(str(name))  # an unknown name is answered with the nearest ones
    reasons = []
    for cls in BACKBONES:
        if held is not None and f'"{cls.__name__}"' not in held:
            continue
        try:
            return cls.from_preset(name, return_attention=True)
        except ValueError as error:
            reasons.append(str(error))
    names = " or ".join(cls.__name__ for cls in BACKBONES)
    raise ValueError(
        f"`name` must be of a model with attention, {names}. Received: name={str(name)!r}"
        + "".join(f"\n{reason}" for reason in reasons)
    )


def _is_preset(folder):
    path = folder / CONFIG
    return path.is_file() and "class_name" in json.loads(path.read_text(encoding="utf-8"))


def _is_gpt2(folder):
    path = folder / CONFIG
    if not path.is_file():
        return (folder / "hparams.json").is_file()
    return json.loads(path.read_text(encoding="utf-8")).get("model_type") in ("gpt2", "openai-gpt")


def _names(preprocessor, ids):
    """What each id stands for; byte-level tokens as the text that they are."""
    if hasattr(preprocessor, "decode"):
        return [
            text.decode("utf-8", "replace") for text in preprocessor.decode(ids[:, None]).numpy()
        ]
    return [preprocessor.vocabulary[i] for i in ids]


def _index(name: str, number: int, count: int) -> int:
    """Where the one of this number stands, counted from 1."""
    if not 1 <= number <= count:
        raise ValueError(f"`{name}` must be between 1 and {count}. Received: {name}={number}")
    return number - 1
