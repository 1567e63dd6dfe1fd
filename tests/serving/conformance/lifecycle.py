"""A folder of models whose versions a test adds, breaks and removes, and managers over it."""

import shutil
import threading

from google.protobuf import text_format

from polysemy.serving.errors import ServingError
from polysemy.serving.protos import (
    GetModelStatusRequest,
    GetModelStatusResponse,
    ModelConfig,
    ModelServerConfig,
    ModelSpec,
)
from polysemy.serving.server import Server, ServerOptions
from polysemy.serving.server.manager import ModelManager

State = GetModelStatusResponse().model_version_status.add().State
QUICK = {"file_system_poll_wait_seconds": 0, "max_num_load_retries": 0}


def spec(name="pair", version=None, label=None):
    made = ModelSpec(name=name)
    if version is not None:
        made.version.value = version
    if label is not None:
        made.version_label = label
    return made


class Lifecycle:
    """Polls only when a test says so, so that nothing has to be slept for.

    Args:
        root: an empty folder for the models.
        template: one version of the model `pair`.
    """

    def __init__(self, root, template):
        self.root = root
        self.template = template
        self.made = []  # to be closed

    def add(self, *versions, name="pair", broken=False):
        """Makes version folders; a broken one has a cut saved_model.pb."""
        for version in versions:
            path = self.root / name / str(version)
            shutil.copytree(self.template, path)
            if broken:
                file = path / "saved_model.pb"
                file.write_bytes(file.read_bytes()[:2000])
        return self.root / name

    def remove(self, *versions, name="pair"):
        for version in versions:
            shutil.rmtree(self.root / name / str(version))

    def config(self, name="pair", text=""):
        """A `ModelConfig` with further fields in the proto's text format."""
        given = ModelConfig(name=name, base_path=str(self.root / name), model_platform="tensorflow")
        return text_format.Merge(text, given)

    def configs(self, *configs):
        config = ModelServerConfig()
        config.model_config_list.config.extend(configs)
        return config

    def config_file(self, *configs):
        path = self.root / "models.config"
        path.write_text(text_format.MessageToString(self.configs(*configs)))
        return str(path)

    def manager(self, *configs, **options):
        """A manager that has polled once and has settled."""
        manager = ModelManager(configs or [self.config()], ServerOptions(**{**QUICK, **options}))
        self.made.append(manager.close)
        return self.poll(manager)

    def poll(self, manager):
        manager.poll()
        assert manager.settle(30)
        return manager

    def server(self, *configs, **options):
        """A started server on free ports; of a configuration file if there are configs."""
        chosen = {"port": 0, "free_ports": True, "rest_api_port": -1, **QUICK}
        if configs:
            chosen["model_config_file"] = self.config_file(*configs)
        elif not {"directory", "model_config_file"} & set(options):
            chosen["model_base_path"], chosen["model_name"] = str(self.root / "pair"), "pair"
        server = Server(options=ServerOptions(**{**chosen, **options}))
        self.made.append(server.stop)
        server.start()
        return server

    def close(self):
        for close in reversed(self.made):
            close()

    def states(self, manager, name="pair"):
        """The states of all versions ever seen, newest first: {2: "AVAILABLE", 1: "END"}."""
        return {number: state for number, (state, _, _) in self.status(manager, name).items()}

    def status(self, manager, name="pair"):
        request = GetModelStatusRequest(model_spec=ModelSpec(name=name))
        return {
            each.version: (
                State.Name(each.state),
                each.status.error_code,
                each.status.error_message,
            )
            for each in manager.status(request).model_version_status
        }

    def answering(self, manager, name="pair", **choice):
        """The version that answers a request, or the error."""
        try:
            with manager.acquire(spec(name, **choice)) as servable:
                return servable.version
        except ServingError as error:
            return error.code.name, error.message


class Gate:
    """Stands in for `load_version`: each load waits until `open` is called for its version."""

    def __init__(self, load):
        self._load = load
        self._started, self._open = {}, {}
        self._lock = threading.Lock()

    def _event(self, events, number):
        with self._lock:
            return events.setdefault(number, threading.Event())

    def __call__(self, version, *rest):
        self._event(self._started, version.number).set()
        assert self._event(self._open, version.number).wait(30)
        return self._load(version, *rest)

    def wait_for(self, number):
        """Waits until the version is being loaded."""
        assert self._event(self._started, number).wait(30)

    def open(self, *numbers):
        for number in numbers:
            self._event(self._open, number).set()
