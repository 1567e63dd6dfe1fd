"""Calls a signature in this process: `python direct.py MODEL REQUESTS BATCH SECONDS`.

REQUESTS is a folder of serialized PredictRequests with one row each. Prints one line of JSON: rows
a second in batches, and the median milliseconds of a single row.
"""

import json
import statistics
import sys
import time
from pathlib import Path

import numpy as np
import tensorflow as tf
import tensorflow_text  # noqa: F401

from polysemy.serving.protos import PredictRequest


def main():
    path, folder, batch, seconds = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    loaded = tf.saved_model.load(path)
    function = loaded.signatures["serving_default"]
    (name,) = function.structured_input_signature[1]
    rows = []
    for file in sorted(folder.iterdir()):
        request = PredictRequest.FromString(file.read_bytes())
        rows.append(tf.make_ndarray(request.inputs[name]))

    def run(arrays):
        outputs = function(**{name: tf.constant(np.concatenate(arrays))})
        return {key: value.numpy() for key, value in outputs.items()}

    def repeat(size, duration):
        times, start = [], 0
        until = time.perf_counter() + duration
        while time.perf_counter() < until:
            arrays = [rows[(start + i) % len(rows)] for i in range(size)]
            start += size
            begin = time.perf_counter()
            run(arrays)
            times.append(time.perf_counter() - begin)
        return times

    repeat(batch, 1.0)
    repeat(1, 1.0)
    batches, singles = repeat(batch, float(seconds)), repeat(1, float(seconds))
    result = {
        "rows_per_s": batch * len(batches) / sum(batches),
        "single_ms": 1000 * statistics.median(singles),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
