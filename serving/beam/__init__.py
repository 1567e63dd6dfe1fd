"""Vectors of a whole corpus, by Apache Beam: on one machine or on Flink, Spark, Dataflow."""

from .embedding import Embedding, embed, unreadable_files

__all__ = ["Embedding", "embed", "unreadable_files"]
