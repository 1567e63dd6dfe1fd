"""SERVING.md section 7, row by row: a server's models are changed while it runs."""

import time

import grpc
import pytest

from polysemy.serving.errors import ServingError
from polysemy.serving.protos import (
    GetModelStatusRequest,
    ModelServerConfig,
    ModelSpec,
    ReloadConfigRequest,
    ReloadConfigResponse,
)
from polysemy.serving.server.reloading import ConfigReloader

METHOD = "/tensorflow.serving.ModelService/HandleReloadConfigRequest"
ALL = "model_version_policy { all {} } "
ONLY_2 = "model_version_policy { specific { versions: 2 } } "
LABEL = 'version_labels {{ key: "{}" value: {} }} '


@pytest.fixture
def running(lab):
    """Versions 1 and 2 of `pair`, labelled, behind a reloader."""
    lab.add(1, 2)
    manager = lab.manager(lab.config(text=ALL))
    reloader = ConfigReloader(manager)
    reloader.reload(lab.configs(lab.config(text=ALL + LABEL.format("stable", 1))))
    return manager, reloader


def refused(reloader, config):
    with pytest.raises(ServingError) as caught:
        reloader.reload(config)
    return caught.value.code.name, caught.value.message


def test_invalid_configurations_change_nothing(lab, running):
    """Checks, in order; an invalid configuration is refused whole, the old one stays"""
    manager, reloader = running
    one = lab.config(text=ALL)
    other = lab.config("other")
    invalid = "INVALID_ARGUMENT"

    def changed(**fields):
        config = lab.config("other")
        for name, value in fields.items():
            setattr(config, name, value)
        return config

    rows = [
        (
            ModelServerConfig(),
            "ServerModelConfig type not supported by HandleReloadConfigRequest. "
            "Only ModelConfigList is currently supported",
        ),
        (
            lab.configs(other, one, one),
            "Illegal to list model pair multiple times in config list",
        ),
        (
            lab.configs(one, changed(base_path="models/other")),
            "Expected model other to have an absolute path or URI; got base_path()=models/other",
        ),
        (
            lab.configs(lab.config(text='model_platform: "torch"'), other),
            "Illegal to change a model's platform. For model pair platform was tensorflow "
            "and new platform requested is torch",
        ),
        (
            lab.configs(one, changed(model_platform="")),
            "Illegal setting neither ModelServerConfig::model_type (deprecated) "
            "nor ModelServerConfig::model_platform.",
        ),
        (
            lab.configs(one, changed(model_type=1)),
            "Illegal setting both ModelServerConfig::model_type (deprecated) "
            "and ModelServerConfig::model_platform.",
        ),
        (
            lab.configs(one, changed(model_platform="torch")),
            "Model other requests unsupported platform torch",
        ),
    ]
    for config, text in rows:
        assert refused(reloader, config) == (invalid, text)
        manager.poll()
        assert lab.states(manager) == {2: "AVAILABLE", 1: "AVAILABLE"}
        assert lab.answering(manager, label="stable") == 1
        assert "other" not in manager.models


def test_labels_point_to_available_versions(lab, running):
    """labels point to AVAILABLE versions: FAILED_PRECONDITION; the old label map stays"""
    manager, reloader = running
    text = ALL + LABEL.format("stable", 2) + LABEL.format("canary", 3)
    assert refused(reloader, lab.configs(lab.config(text=text))) == (
        "FAILED_PRECONDITION",
        "Request to assign label to version 3 of model pair, which is not currently available for "
        "inference",
    )
    assert lab.answering(manager, label="stable") == 1
    reloader.reload(lab.configs(lab.config(text=ALL + LABEL.format("canary", 2))))
    assert lab.answering(manager, label="canary") == 2  # at once
    assert lab.answering(manager, label="stable")[0] == "INVALID_ARGUMENT"


def test_labels_not_in_use_may_point_anywhere_with_the_flag(lab):
    """with `--allow_version_labels_for_unavailable_models`: labels not in use may point anywhere;
    a label in use may still move only to an available version"""
    lab.add(1)
    manager = lab.manager(allow_version_labels_for_unavailable_models=True)
    reloader = ConfigReloader(manager)
    reloader.reload(lab.configs(lab.config(text=LABEL.format("canary", 3))))
    expected = ("NOT_FOUND", "Servable not found for request: Specific(pair, 3)")
    assert lab.answering(manager, label="canary") == expected
    config = lab.configs(lab.config(text=LABEL.format("canary", 4)))
    assert refused(reloader, config)[0] == "FAILED_PRECONDITION"
    lab.add(3)
    lab.poll(manager)
    assert lab.answering(manager, label="canary") == 3


def test_dropped_models_unload_and_new_ones_answer_when_the_call_returns(lab, asking):
    """dropped models begin to unload; the call returns only when every newly named model has an
    available version (so a Predict right after it succeeds). `metric_names` are echoed with their
    increase, unknown ones with 0"""
    lab.add(1)
    lab.add(7, name="other")
    server = lab.server(lab.config())
    metric = "/tensorflow/cc/saved_model/load_attempt_count"
    request = ReloadConfigRequest(
        config=lab.configs(lab.config("other")), metric_names=[metric, "nothing"]
    )
    with grpc.insecure_channel(server.address) as channel:
        raw = channel.unary_unary(METHOD)(request.SerializeToString(), timeout=30)
    answer = ReloadConfigResponse.FromString(raw)
    assert answer.status.error_code == 0
    increases = [(each.name, each.int64_value_increase) for each in answer.metric]
    assert increases == [(metric, 1), ("nothing", 0)]
    assert lab.answering(server.manager, "other") == 7
    assert lab.answering(server.manager)[0] == "NOT_FOUND"
    server.manager.settle(30)
    assert lab.states(server.manager) == {1: "END"}
    bad = ReloadConfigRequest(config=lab.configs(lab.config("other"), lab.config("other")))
    answer = asking["grpc"](server.address, "ModelService/HandleReloadConfigRequest", bad)
    expected = "Illegal to list model other multiple times in config list"
    assert answer == ("INVALID_ARGUMENT", expected)


def test_new_models_that_fail(lab, running):
    """or fails with UNKNOWN `1 model(s) did not become available: {{name: X version: 1} due to
    error: ...}, }` (the source has one brace more, around each model)"""
    manager, reloader = running
    lab.add(1, name="broken", broken=True)
    code, text = refused(reloader, lab.configs(lab.config(text=ALL), lab.config("broken")))
    assert code == "UNKNOWN"
    start = "1 model(s) did not become available: {{{name: broken version: 1} due to error: "
    assert text.startswith(start) and text.endswith("}, }") and str(lab.root) not in text
    assert lab.answering(manager) == 2  # the others are not touched
    lab.remove(1, name="broken")
    lab.add(2, name="broken")
    assert lab.answering(lab.poll(manager), "broken") == 2  # it stays configured


def test_a_wrong_path_does_not_block(lab, running):
    """A new model without versions, or with a wrong path, blocks the call until the client's
    deadline (and holds the config lock) — better not imitated."""
    manager, reloader = running
    config = lab.configs(lab.config(text=ALL), lab.config("nowhere"))
    code, text = refused(reloader, config)
    assert code == "UNKNOWN" and "{name: nowhere} due to error: NOT_FOUND" in text
    assert lab.answering(manager) == 2


def test_a_model_that_comes_back_while_it_leaves(lab, running):
    """Only when it is freed is it loaded again, for which the call waits, and no poll is needed."""
    manager, reloader = running
    nothing, back = lab.configs(), lab.configs(lab.config(text=ALL))
    for _ in range(3):
        reloader.reload(nothing)
        reloader.reload(back, timeout=30)
        assert lab.answering(manager) in (1, 2)
    for last, state in (back, "AVAILABLE"), (nothing, "END"):
        assert manager.settle(30)
        with manager.acquire(ModelSpec(name="pair")):  # version 2
            reloader.reload(nothing)
            assert manager.settle(30)
            with pytest.raises(ServingError, match="DEADLINE_EXCEEDED"):
                reloader.reload(lab.configs(lab.config(text=ONLY_2)), timeout=0.01)
            assert lab.states(manager)[2] == "UNLOADING"
            reloader.reload(last, timeout=30)
        assert manager.settle(30)
        assert lab.states(manager)[2] == state


def test_calls_that_wait_keep_no_other_call_waiting(lab, gate):
    """Each waits until its models are there; the status is told all the same."""
    lab.add(1)
    gate.open(1)
    server = lab.server(grpc_max_threads=1)
    lab.add(2, name="other")
    message = ReloadConfigRequest(config=lab.configs(lab.config(), lab.config("other")))
    status = GetModelStatusRequest(model_spec=ModelSpec(name="other"))
    with grpc.insecure_channel(server.address) as channel:
        reload = channel.unary_unary(METHOD)
        calls = [reload.future(message.SerializeToString(), timeout=30) for _ in range(3)]
        gate.wait_for(2)
        ask = channel.unary_unary("/tensorflow.serving.ModelService/GetModelStatus")
        assert ask(status.SerializeToString(), timeout=20)
        gate.open(2)
        assert [call.result() for call in calls]


def test_a_call_ends_at_its_deadline(lab, running, gate):
    """A load that goes on after the client's deadline holds nobody up."""
    manager, reloader = running
    lab.add(1, name="slow")
    config = lab.configs(lab.config(text=ALL), lab.config("slow"))
    with pytest.raises(ServingError, match="DEADLINE_EXCEEDED"):
        reloader.reload(config, timeout=0.01)
    reloader.reload(lab.configs(lab.config(text=ALL)))  # the lock is free
    gate.open(1)


def test_policy_changes_of_known_models(lab, running):
    """Policy changes of known models take effect at the next poll."""
    manager, reloader = running
    reloader.reload(
        lab.configs(lab.config(text="model_version_policy { specific { versions: 1 } }"))
    )
    manager.settle(30)
    assert lab.states(manager) == {2: "END", 1: "AVAILABLE"}


def test_the_configuration_file_is_read_anew(lab, caplog):
    """Config file polling: the same procedure each N seconds; an unreadable or refused file is
    logged and changes nothing."""
    lab.add(1)
    lab.add(4, name="other")
    path = lab.config_file(lab.config())
    manager = lab.manager(model_config_file=path)
    reloader = ConfigReloader(manager)
    for text in ("model_config_list { config { nam", "model_config_list { config { name: 'x' } }"):
        (lab.root / "models.config").write_text(text)
        reloader.read_file()
        assert lab.answering(manager) == 1
    assert "models.config:1` must be a text proto" in caplog.text
    assert "Expected model x to have an absolute path" in caplog.text
    (lab.root / "models.config").unlink()
    reloader.read_file()
    assert lab.answering(manager) == 1
    lab.config_file(lab.config("other"))
    reloader.read_file()
    assert manager.settle(30)
    assert lab.answering(manager, "other") == 4 and lab.answering(manager)[0] == "NOT_FOUND"


def test_the_poller_reads_file_and_folders(lab):
    """Both are polled while a server runs, each by its own interval."""
    lab.add(1)
    server = lab.server(
        lab.config(), file_system_poll_wait_seconds=0.05, model_config_file_poll_wait_seconds=0.05
    )
    lab.add(2)
    lab.add(1, name="other")
    lab.config_file(lab.config(), lab.config("other"))
    manager, deadline = server.manager, time.monotonic() + 20
    with manager.changed:
        assert manager.changed.wait_for(
            lambda: manager.is_available("other", 1) and manager.is_available("pair", 2),
            deadline - time.monotonic(),
        )
