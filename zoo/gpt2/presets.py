"""Weights of GPT-2 that the zoo knows by name."""

from ..preset import Preset, register

register(
    Preset(
        name="gpt2_wikitext2_en",
        description="GPT-2 of 4 layers x 256, 8,000 tokens, English, cased, WikiText-2",
        parameters=5_273_088,
        license="CC BY-SA 3.0",
        source="trained here by the recipe gpt2_lm_wikitext2, variant long, on WikiText-2",
        sha256="e96d208dd2cd1946198b7e5e4afb2289c6442e6e7f970bc1f17a46c1b5046d1b",
        score="WikiText-2 test perplexity of a word 126.0",
        path="gpt2/gpt2_wikitext2_en",
    ),
)
