"""Which of our variables is which of theirs, in the formats that GPT-2 and GPT are published in.

All keep a matrix as (inputs, outputs) and query, key and value side by side, as ours does.
"""

from typing import NamedTuple

import numpy as np

from ..checkpoints import Weight

# Our variables of one block, in the order of OpenAI's arrays, and the names of their modules.
_BLOCK = (
    ("self_attention/qkv", "attn/c_attn"),
    ("self_attention/output", "attn/c_proj"),
    ("self_attention_norm", "ln_1"),
    ("feed_forward/", "mlp/c_fc"),
    ("feed_forward/output", "mlp/c_proj"),
    ("feed_forward_norm", "ln_2"),
)


class Layout(NamedTuple):
    """How a format spells its names.

    Attributes:
        tokens, positions: str. The two tables.
        block: str. An array of a block, with places for `i`, `module` and `kind`.
        separator: str. What stands for the slash in a module's name.
        kinds: its names for kernel, bias, gamma and beta.
        final_norm: str. With a place for `kind`.
    """

    tokens: str
    positions: str
    block: str
    separator: str
    kinds: tuple[str, str, str, str]
    final_norm: str

    def name(self, i, module, kind):
        """Their name of one array: block, module as in `_BLOCK`, 0 to 3 as in `kinds`."""
        module = module.replace("/", self.separator)
        return self.block.format(i=i, module=module, kind=self.kinds[kind])

    def names_in_order(self, num_layers):
        """The arrays as GPT's files have them: positions, tokens, then block by block."""
        names = [self.positions, self.tokens]
        for i in range(num_layers):
            for ours, module in _BLOCK:
                first = 2 if ours.endswith("_norm") else 0
                names += [self.name(i, module, first), self.name(i, module, first + 1)]
        return names


_HUGGING_FACE = ("h.{i}.{module}.{kind}", ".", ("weight", "bias", "weight", "bias"), "ln_f.{kind}")
_OPENAI = ("{i}/{module}/{kind}", "/", ("w", "b", "g", "b"), "model/ln_f/{kind}")
LAYOUTS = {
    "gpt2": Layout("wte.weight", "wpe.weight", *_HUGGING_FACE),
    "openai-gpt": Layout("tokens_embed.weight", "positions_embed.weight", *_HUGGING_FACE),
    "openai": Layout("model/wte", "model/wpe", "model/h" + _OPENAI[0], *_OPENAI[1:]),
    "arrays": Layout("wte", "wpe", "h" + _OPENAI[0], *_OPENAI[1:]),
}


def weight_table(model, layout):
    """The rows for `assign_weights`, for a `GPT2` of any size.

    Args:
        model: `GPT2`. layout: a key of `LAYOUTS`.
    """
    names = LAYOUTS[layout]
    # TensorFlow's files hold matrices as convolutions over one position.
    matrix = _without_width if layout in ("openai", "arrays") else None
    table = [
        Weight(names.tokens, "token_embedding/embeddings"),
        Weight(names.positions, "position_embedding/embeddings"),
    ]
    for i in range(model.num_layers):
        for ours, module in _BLOCK:
            ours = f"block_{i}/{ours}"
            if ours.endswith("_norm"):
                table.append(Weight(names.name(i, module, 2), f"{ours}/gamma"))
                table.append(Weight(names.name(i, module, 3), f"{ours}/beta"))
            else:
                ours = ours if ours.endswith("/") else f"{ours}_"
                table.append(Weight(names.name(i, module, 0), f"{ours}kernel", matrix))
                table.append(Weight(names.name(i, module, 1), f"{ours}bias"))
    if model.norm == "pre":
        for kind, ours in ((2, "gamma"), (3, "beta")):
            theirs = names.final_norm.format(kind=names.kinds[kind])
            table.append(Weight(theirs, f"final_norm/{ours}"))
    return table


def _without_width(kernel):
    """(1, D, F) -> (D, F)."""
    return np.squeeze(kernel, axis=0)
