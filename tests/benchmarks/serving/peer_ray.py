# pyright: reportMissingImports=false, reportAttributeAccessIssue=false
# ray is in an environment of its own, and its decorators change what they decorate.
"""Ray Serve behind TensorFlow Serving's own Predict: `python peer_ray.py MODEL PORT BATCH`.

One replica in a process of its own, batches by `serve.batch`, as Ray's documentation has it.
"""

import signal
import sys

import numpy as np
import ray
from ray import serve
from ray.serve.config import gRPCOptions


@serve.deployment(max_ongoing_requests=64, ray_actor_options={"num_cpus": 1})
class Model:
    def __init__(self, path, batch):
        import tensorflow as tf
        import tensorflow_text  # noqa: F401

        self.loaded = tf.saved_model.load(path)
        self.function = self.loaded.signatures["serving_default"]
        (self.input,) = self.function.structured_input_signature[1]
        self.tf = tf
        self.ask.set_max_batch_size(batch)
        self.ask.set_batch_wait_timeout_s(0.1)

    @serve.batch(max_batch_size=16, batch_wait_timeout_s=0.1)
    async def ask(self, arrays):
        joined = self.tf.constant(np.concatenate(arrays))
        outputs = {k: v.numpy() for k, v in self.function(**{self.input: joined}).items()}
        ends = np.cumsum([len(array) for array in arrays])[:-1]
        parts = {key: np.split(value, ends) for key, value in outputs.items()}
        return [{key: values[i] for key, values in parts.items()} for i in range(len(arrays))]

    async def Predict(self, request):
        from tensorflow_serving.apis import predict_pb2

        array = self.tf.make_ndarray(request.inputs[self.input])
        response = predict_pb2.PredictResponse()
        for key, value in (await self.ask(array)).items():
            response.outputs[key].CopyFrom(self.tf.make_tensor_proto(value))
        return response


def main():
    path, port, batch = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    ray.init(num_cpus=2, include_dashboard=False, configure_logging=False, log_to_driver=False)
    stubs = "tensorflow_serving.apis.prediction_service_pb2_grpc"
    adder = f"{stubs}.add_PredictionServiceServicer_to_server"
    serve.start(grpc_options=gRPCOptions(port=port, grpc_servicer_functions=[adder]))
    serve.run(Model.bind(path, batch), name="default")
    print("ready", flush=True)
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    serve.shutdown()
    ray.shutdown()


if __name__ == "__main__":
    main()
