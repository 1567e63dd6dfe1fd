"""embed: the vectors of a whole corpus, as a Beam pipeline."""

from __future__ import annotations

import dataclasses
import json
import os
import re
from collections.abc import Sequence
from typing import Any

import apache_beam as beam
from apache_beam.io.filesystems import FileSystems
from apache_beam.ml.inference.base import RunInference
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions

from ..version_folders import versions
from .handler import SavedModelHandler
from .output_folder import OutputFolder
from .reading import ReadShards
from .writing import BAD_LINES, WRITERS, WriteShards, extension_of

CONFIG = "_embedding.json"
COUNTERS = (
    "shards",
    "shards_done_before",
    "lines",
    "sentences",
    "tokens",
    "blank_lines",
    "failures",
    "unreadable_files",
)


@dataclasses.dataclass(frozen=True)
class Embedding:
    """What is embedded, and how. Written as `_embedding.json` beside the vectors.

    Args:
        model: str. Folder of one version of a SavedModel with a text signature, or of a model,
            whose newest version is taken.
        input: str. Glob of text files, one sentence a line, plain or compressed.
        output: str. Folder of the vectors; a file for each shard.
        signature: str.
        outputs: tuple of str. The outputs to keep, which must have a row for each line. Empty:
            `sequence_output`, or all of that kind where the signature has none of this name.
            Padding is cut off where the signature returns a `mask`.
        file_format: "parquet" or "tfrecord".
        lines_per_shard: int. What a kill may cost, and what one worker holds at a time.
        batch_size: int. Lines that the model sees at once.
    """

    model: str
    input: str
    output: str
    signature: str = "serving_default"
    outputs: tuple[str, ...] = ()
    file_format: str = "parquet"
    lines_per_shard: int = 1000
    batch_size: int = 32

    def __post_init__(self) -> None:
        for key in ("lines_per_shard", "batch_size"):
            if getattr(self, key) < 1:
                value = getattr(self, key)
                raise ValueError(f"`{key}` must be at least 1. Received: {key}={value}")
        extension_of(self.file_format)
        if any(sign in self.output for sign in "*?["):
            raise ValueError(
                "`output` must be without *, ? and [, which Beam takes for patterns. "
                f"Received: output={self.output!r}"
            )
        numbers = versions(self.model)
        if numbers:  # fixed here: a version that appears later must not join in
            object.__setattr__(self, "model", os.path.join(self.model, str(numbers[-1])))


def embed(embedding: Embedding, flags: Sequence[str] = ()) -> dict[str, int]:
    """Runs the pipeline and returns its counters.

    Reads lines, runs the SavedModel by Beam's `RunInference`, and writes a file a shard. What is
    written already is not done again, so the same command after a kill goes on where it was, and
    after a change of the corpus embeds the shards whose lines are others now. Each line of the
    corpus is in a shard's file, among its bad lines, blank, or in the part of a damaged file that
    `unreadable_files` tells of.

    Args:
        embedding: Embedding.
        flags: Beam's own, such as "--runner=FlinkRunner".

    Returns:
        dict of the counters of this run: `shards`, `shards_done_before`, `lines`, `sentences`,
        `tokens`, `blank_lines`, `failures`, `unreadable_files`.

    Raises:
        ValueError: if nothing matches `input`, the model's folder has no SavedModel, the output
            folder holds vectors of another model or with other settings or has a sign of patterns
            in its name, or the model has no such signature or output, or the output has not a row
            for each line.

    Example:
    >>> embed(Embedding("/models/elmo/1", "/nonexistent/*.txt", "/tmp/vectors"))
    Traceback (most recent call last):
        ...
    ValueError: `input` must match at least one file. Received: input='/nonexistent/*.txt'
    """
    paths = _files(embedding.input)
    options = PipelineOptions(list(flags))
    runner = options.view_as(StandardOptions).runner or "DirectRunner"
    is_local = runner.endswith("DirectRunner")
    _check_model(embedding.model, is_local)
    _claim(embedding)
    pipeline = beam.Pipeline(options=options)
    read = (
        pipeline
        | "Files" >> beam.Create(paths)
        | "ReadShards"
        >> beam.ParDo(
            ReadShards(embedding.output, embedding.file_format, embedding.lines_per_shard)
        ).with_outputs(BAD_LINES, main="shards")
    )
    shards = read["shards"]
    if not is_local:
        # Spreads the shards of a large file over the workers. On one machine it would only hold
        # the whole corpus before the first vector is written.
        shards |= "Spread" >> beam.Reshuffle()
    handler = SavedModelHandler(
        embedding.model,
        embedding.signature,
        embedding.outputs or None,
        embedding.batch_size,
    )
    written = (
        shards
        | "Embed" >> RunInference(handler)
        | "Write"
        >> beam.ParDo(WriteShards(embedding.output, embedding.file_format)).with_outputs(
            BAD_LINES, main="written"
        )
    )
    bad_lines = (read[BAD_LINES], written[BAD_LINES]) | "BadLines" >> beam.Flatten()
    _ = bad_lines | "CountBadLines" >> beam.combiners.Count.Globally()
    try:
        result = pipeline.run()
        result.wait_until_finish()
    except ValueError as error:
        error.args = (re.sub(r" \[while running '.*'\]$", "", str(error)),)
        raise
    return _counters(result)


def unreadable_files(embedding: Embedding) -> list[str]:
    """The files that could not be read to their end when they were last embedded.

    Their vectors end before the damage; `_bad_lines` tells at which line, and why. A run with the
    repaired files embeds the rest.

    Returns:
        list of str. Absolute paths or URLs.

    Example:
    >>> unreadable_files(Embedding("/models/elmo/1", "/dev/null", "/nonexistent/vectors"))
    []
    """
    folder = OutputFolder(embedding.output, extension_of(embedding.file_format))
    return folder.unreadable(_files(embedding.input))


def _files(pattern: str) -> list[str]:
    """Absolute paths, so that files are called the same from every folder, or URLs."""
    remote = "://" in pattern
    # Beam finds nothing for a relative pattern that begins with a star.
    (match,) = FileSystems.match([pattern if remote else os.path.join(os.getcwd(), pattern)])
    paths = [metadata.path for metadata in match.metadata_list]
    if not paths:
        raise ValueError(f"`input` must match at least one file. Received: input={pattern!r}")
    return sorted(path if remote else os.path.abspath(path) for path in paths)


def _check_model(model: str, is_local: bool) -> None:
    """Refuses what is no SavedModel, before workers do; only they may see a folder that is not
    here."""
    files = [FileSystems.join(model, f"saved_model.{end}") for end in ("pb", "pbtxt")]
    if not any(map(FileSystems.exists, files)) and (is_local or FileSystems.exists(model)):
        raise ValueError(
            "`model` must be the folder of a SavedModel, or hold numbered versions of one. "
            f"Received: model={model!r}"
        )


def _claim(embedding: Embedding) -> None:
    """Writes `_embedding.json`; refuses a folder of vectors for which it says something else."""
    path = FileSystems.join(embedding.output, CONFIG)
    # The corpus may grow, and the batches do not change the vectors.
    ours = dataclasses.asdict(embedding)
    ours = {key: ours[key] for key in ours if key not in ("input", "output", "batch_size")}
    ours["outputs"] = list(ours["outputs"])
    patterns = [FileSystems.join(embedding.output, f"*{extension_of(each)}") for each in WRITERS]
    has_vectors = any(match.metadata_list for match in FileSystems.match(patterns))
    if not (has_vectors and FileSystems.exists(path)):
        if not FileSystems.exists(embedding.output):
            FileSystems.mkdirs(embedding.output)
        with FileSystems.create(path, "application/json", "uncompressed") as file:
            file.write((json.dumps(ours, indent=2) + "\n").encode())
        return
    with FileSystems.open(path) as file:
        theirs = json.loads(file.read())
    if theirs != ours:
        differing = [
            f"{key}: {theirs.get(key)!r} there, {ours.get(key)!r} now"
            for key in sorted(theirs.keys() | ours.keys())
            if theirs.get(key) != ours.get(key)
        ]
        raise ValueError(
            "`output` must be a new folder, or one of the same model and settings. Received: "
            f"output={embedding.output!r} with {'; '.join(differing)}"
        )


def _counters(result: Any) -> dict[str, int]:
    found = {name: 0 for name in COUNTERS}
    for counter in result.metrics().query()["counters"]:
        name = counter.key.metric.name
        if counter.key.metric.namespace == "embed" and name in found:
            found[name] += counter.committed or 0
    return found
