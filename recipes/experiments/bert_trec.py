"""Types of questions (TREC-6) by BERT.

    polysemy run bert_trec train evaluate export --set data.root=DATA

Starts from all-MiniLM-L6-v2, a BERT of 6 layers x 384 (preset `minilm_l6_en`): fine-tuned, with
rates that fall from layer to layer, and feature-based, the last four layers side by side under a
linear classifier; from the same model without its training; and from our own pre-training ("own";
"own_short" and the like from its other variants), which is skipped where `bert_pretrain_wikitext2`
has not been exported to the same `--out`. 4,997 questions of training, 455 of the published
training part (every twelfth) dev, 500 test. `--set task.corpus=trec_fine` has the 50 fine types.
"""

from ..config import DataConfig, Experiment
from ..tasks.classification import Classification
from ._bert import CLASSIFICATION_VARIANTS, adamw

experiment = Experiment(
    name="bert_trec",
    description="TREC question types: fine-tuned, feature-based, untrained, own",
    task=Classification(corpus="trec", max_length=64),
    data=DataConfig(name="TREC-6"),
    trainer=adamw(epochs=4, learning_rate=1e-4, warmup_steps=60),
    variants=CLASSIFICATION_VARIANTS,
    paper="96.4 accuracy (ULMFiT), 95.8 (CoVe); BERT's paper has none",
)
