"""Pre-trains a small GPT-2 on WikiText-2: perplexity and samples.

    polysemy run gpt2_lm_wikitext2 train evaluate export --set data.root=DATA

4 layers x 256, rows of 128 tokens, batches of 32. The vocabulary is GPT-2's with its first 7,743
merges (8,000 tokens): a beginning of a BPE is a BPE, and the text is too small for 50,257 vectors.
`own_vocabulary` learns as many merges from the text; `long` is that with twice the steps, and gave
the preset `gpt2_wikitext2_en`.

Perplexity is per word of the corpus, line ends counted, with at least 64 tokens of context. GPT-2's
own figures are zero-shot, of models that never saw WikiText.
"""

from ..config import DataConfig, Experiment
from ..tasks.causal_lm import CausalLanguageModeling
from ._bert import adamw

experiment = Experiment(
    name="gpt2_lm_wikitext2",
    description="GPT-2 pre-training on WikiText-2, 4 layers x 256, 8,000 tokens",
    task=CausalLanguageModeling(
        corpus="wikitext2",
        vocabulary="vocab/gpt2",
        model={"num_layers": 4, "num_heads": 4, "hidden_dim": 256, "max_length": 256},
        dropout=0.1,
        prompts=("", "= The Lighthouse =\n", "The ship was", "In 1944 , the"),
    ),
    data=DataConfig(name="WikiText-2"),
    trainer=adamw(
        steps=2_500,
        steps_per_epoch=500,
        optimizer_options={"epsilon": 1e-8},
        learning_rate=2e-3,
        warmup_steps=200,
        mixed_precision="mixed_bfloat16",
    ),
    seeds=(1,),
    variants={
        "default": {},
        "own_vocabulary": {"task.vocabulary": None},
        "long": {"task.vocabulary": None, "trainer.steps": 5_000},
        "short": {
            "trainer.steps": 500,
            "trainer.steps_per_epoch": 250,
            "trainer.warmup_steps": 50,
        },
    },
    paper="29.41 perplexity, recalled (117M, zero-shot, WebText)",
)
