"""Named entities of WNUT-17 by BERT, fine-tuned and as features.

    polysemy run bert_ner_wnut17 train evaluate export --set data.root=DATA

Starts from all-MiniLM-L6-v2 (preset `minilm_l6_en`). Fine-tuned as in the paper: the first piece
of each word, a linear layer, no CRF. As features: the model stands still, its layers are mixed by
learned weights and read by a biLSTM with a CRF beside word vectors and characters, as ELMo is in
`elmo_ner_wnut17`; or no encoder at all. MiniLM is uncased, the paper's model is cased and reads
whole documents: the paper's figure, of another corpus, tells the scale, no more. 62,730 words of
training; the test text comes from other sources, so scores are low by nature.
"""

from ..config import DataConfig, Experiment
from ..tasks.tagging import Tagging
from ._bert import TAGGING_VARIANTS, adamw

experiment = Experiment(
    name="bert_ner_wnut17",
    description="WNUT-17 entities: BERT fine-tuned, with a CRF, as features, own pre-training",
    task=Tagging(
        corpus="wnut17",
        encoder="minilm_l6_en",
        model="bert",
        head="softmax",
        scheme="BIO",
        dropout=0.1,
    ),
    data=DataConfig(name="WNUT-17"),
    trainer=adamw(epochs=5, learning_rate=2e-4, warmup_steps=40),
    variants=TAGGING_VARIANTS,
    paper="92.4 F1; as features 96.1, fine-tuned 96.4, recalled, dev (CoNLL-2003, Base)",
)
