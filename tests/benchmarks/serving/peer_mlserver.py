# pyright: reportMissingImports=false, reportAttributeAccessIssue=false
# mlserver is in an environment of its own.
"""MLServer's custom runtime for a SavedModel, and how it is started.

`python peer_mlserver.py MODEL PORT BATCH WORKERS REQUESTS` writes the settings, the requests (one
JSON list of inputs a line on standard input) as bytes of the V2 protocol into REQUESTS, and serves.
WORKERS are processes that run the model; with 0 the server's own does.
"""

import json
import os
import sys
import tempfile
from pathlib import Path

import numpy as np
from mlserver import MLModel
from mlserver.codecs import NumpyCodec, StringCodec
from mlserver.types import InferenceRequest, InferenceResponse


class SavedModel(MLModel):
    async def load(self):
        import tensorflow as tf
        import tensorflow_text  # noqa: F401

        self.loaded = tf.saved_model.load(self.settings.parameters.uri)
        self.function = self.loaded.signatures["serving_default"]
        (self.name_of_input,) = self.function.structured_input_signature[1]
        self.tf = tf
        return True

    async def predict(self, payload):
        (given,) = payload.inputs
        if given.datatype == "BYTES":
            tensor = self.tf.constant(StringCodec.decode_input(given))
        else:
            tensor = self.tf.constant(NumpyCodec.decode_input(given))
        outputs = self.function(**{self.name_of_input: tensor})
        encoded = [NumpyCodec.encode_output(key, value.numpy()) for key, value in outputs.items()]
        return InferenceResponse(model_name=self.name, outputs=encoded)


def request_bytes(value):
    from mlserver.grpc.converters import ModelInferRequestConverter

    array = np.array(value)
    if array.dtype.kind == "U":
        given = StringCodec.encode_input("input", [str(text) for text in array.ravel()])
        given.shape = [len(array), 1]
    else:
        given = NumpyCodec.encode_input("input", array.astype("float32"))
    request = ModelInferRequestConverter.from_types(
        InferenceRequest(inputs=[given]), model_name="model"
    )
    return request.SerializeToString()


def main():
    path, folder = sys.argv[1], Path(sys.argv[5])
    port, batch, workers = map(int, sys.argv[2:5])
    folder.mkdir(parents=True)
    for i, line in enumerate(sys.stdin):
        (folder / f"{i:03d}").write_bytes(request_bytes(json.loads(line)))
    home = Path(tempfile.mkdtemp())
    (home / "settings.json").write_text(
        json.dumps(
            {
                "grpc_port": port,
                "http_port": port + 1,
                "metrics_port": port + 2,
                "parallel_workers": workers,
                "debug": False,
            }
        )
    )
    (home / "model-settings.json").write_text(
        json.dumps(
            {
                "name": "model",
                "implementation": "peer_mlserver.SavedModel",
                "parameters": {"uri": path},
                "max_batch_size": batch,
                "max_batch_time": 0.1,
            }
        )
    )
    os.environ["PYTHONPATH"] = str(Path(__file__).parent)
    command = str(Path(sys.executable).with_name("mlserver"))
    os.chdir(home)  # where it leaves folders of its own
    os.execv(command, [command, "start", str(home)])


if __name__ == "__main__":
    main()
