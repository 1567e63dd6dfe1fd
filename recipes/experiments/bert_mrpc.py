"""Paraphrases (MRPC) by BERT, in F1 and accuracy.

    polysemy run bert_mrpc train evaluate export --set data.root=DATA

Starts from all-MiniLM-L6-v2, a BERT of 6 layers x 384 (preset `minilm_l6_en`): fine-tuned, with
rates that fall from layer to layer, and feature-based, the last four layers side by side under a
linear classifier; from the same model without its training; and from our own pre-training ("own";
"own_short" and the like from its other variants), which is skipped where `bert_pretrain_wikitext2`
has not been exported to the same `--out`. 3,576 pairs of training, 500 dev, 1,725 test: the
published training part without the dev pairs.
"""

from ..config import DataConfig, Experiment
from ..tasks.classification import Classification
from ._bert import CLASSIFICATION_VARIANTS, adamw

experiment = Experiment(
    name="bert_mrpc",
    description="MRPC paraphrases (F1): fine-tuned, feature-based, untrained, own",
    task=Classification(corpus="mrpc"),
    data=DataConfig(name="MRPC"),
    trainer=adamw(epochs=4, learning_rate=1e-4, warmup_steps=45),
    variants=CLASSIFICATION_VARIANTS,
    paper="88.9 F1, recalled (Base, GLUE test)",
)
