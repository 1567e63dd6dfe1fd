"""Deployment files: they parse, validate, and say what the exports say."""

import json
import shutil
import subprocess
from pathlib import Path

import kubernetes_validate
import pytest
import tensorflow as tf
import yaml
from google.protobuf import text_format

from polysemy.serving.deploy import deploy
from polysemy.serving.deploy.deployment import probe_script
from polysemy.serving.deploy.exports import image_of, read_exports
from polysemy.serving.protos import ModelServerConfig
from polysemy.serving.server import Server
from polysemy.serving.server.config_protos import BatchingParameters, MonitoringConfig
from polysemy.serving.server.flags import parse_flags

CONFIGS = ["batching.config", "models.config", "monitoring.config"]
MANIFESTS = {
    "config-map.yaml": ["ConfigMap"],
    "deployment.yaml": ["Deployment"],
    "services.yaml": ["Service", "Service"],
    "autoscaler.yaml": ["HorizontalPodAutoscaler"],
    "disruption-budget.yaml": ["PodDisruptionBudget"],
    "volume.yaml": ["PersistentVolumeClaim"],
}


@pytest.fixture(scope="module")
def kubernetes(models, tmp_path_factory):
    out = tmp_path_factory.mktemp("kubernetes")
    deploy(models, "kubernetes", out, name="zoo", replicas=3, cpus=4)
    return out


@pytest.fixture(scope="module")
def compose(models, tmp_path_factory):
    out = tmp_path_factory.mktemp("compose")
    paths = deploy(models, "compose", out, name="zoo")
    assert [Path(path).name for path in paths] == sorted([*CONFIGS, "compose.yaml"])
    return out


def manifests(out, name):
    return list(yaml.safe_load_all((out / name).read_text()))


def arguments(out):
    (manifest,) = manifests(out, "deployment.yaml")
    return manifest["spec"]["template"]["spec"]["containers"][0]["args"]


def test_protos_parse_and_name_the_models(kubernetes):
    text = (kubernetes / "models.config").read_text()
    configs = text_format.Parse(text, ModelServerConfig()).model_config_list.config
    assert [(each.name, each.base_path, each.model_platform) for each in configs] == [
        ("plain", "/models/plain", "tensorflow"),
        ("toy", "/models/toy", "tensorflow"),
    ]
    assert configs[0].model_version_policy.latest.num_versions == 1
    assert f"# Version 3, TensorFlow {tf.__version__}, warm-up: 3 requests." in text
    assert f"# Version 1, TensorFlow {tf.__version__}, warm-up: none" in text
    assert "# tokens: sequence_len int32[?], tokens string[?, ?] -> default float32[?, 4]" in text
    batching = text_format.Parse((kubernetes / "batching.config").read_text(), BatchingParameters())
    assert list(batching.allowed_batch_sizes) == [1, 2, 4, 8, 16, 32]
    assert batching.max_batch_size.value == 32 and batching.num_batch_threads.value == 4
    assert not batching.pad_variable_length_inputs
    assert "#   toy: count, ids, tokens\n" in (kubernetes / "batching.config").read_text()
    metrics = text_format.Parse((kubernetes / "monitoring.config").read_text(), MonitoringConfig())
    assert metrics.prometheus_config.enable
    annotations = manifests(kubernetes, "deployment.yaml")[0]["spec"]["template"]["metadata"]
    path = annotations["annotations"]["prometheus.io/path"]
    assert path == metrics.prometheus_config.path


@pytest.mark.parametrize("name", MANIFESTS)
def test_manifests_validate(kubernetes, name):
    found = manifests(kubernetes, name)
    assert [each["kind"] for each in found] == MANIFESTS[name]
    for manifest in found:
        kubernetes_validate.validate(manifest, "1.37", strict=True)
        assert manifest["metadata"]["name"].startswith("zoo")


def test_manifests_agree_with_each_other(kubernetes):
    (deployment,) = manifests(kubernetes, "deployment.yaml")
    pod = deployment["spec"]["template"]
    (container,) = pod["spec"]["containers"]
    assert container["image"] == f"tensorflow/serving:{tf.__version__}"
    assert deployment["spec"]["replicas"] == 3
    labels = pod["metadata"]["labels"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    services = manifests(kubernetes, "services.yaml")
    for service in services:
        assert service["spec"]["selector"].items() <= labels.items()
        for port in service["spec"]["ports"]:
            assert ports[port["targetPort"]] == port["port"]
    assert services[0]["spec"]["clusterIP"] == "None"
    (scaler,) = manifests(kubernetes, "autoscaler.yaml")
    assert scaler["spec"]["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
    assert (scaler["spec"]["minReplicas"], scaler["spec"]["maxReplicas"]) == (3, 8)
    (budget,) = manifests(kubernetes, "disruption-budget.yaml")
    assert budget["spec"]["selector"]["matchLabels"].items() <= labels.items()
    (volume,) = manifests(kubernetes, "volume.yaml")
    claims = [each.get("persistentVolumeClaim") for each in pod["spec"]["volumes"]]
    assert {"claimName": volume["metadata"]["name"]} in claims
    (config,) = manifests(kubernetes, "config-map.yaml")
    assert config["data"] == {name: (kubernetes / name).read_text() for name in CONFIGS}
    assert container["resources"]["requests"]["cpu"] == "4"
    wait = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
    assert wait < pod["spec"]["terminationGracePeriodSeconds"]


def test_flags_are_those_of_the_server(kubernetes, compose):
    (service,) = manifests(compose, "compose.yaml")
    ours = parse_flags(service["services"]["serving"]["command"])
    theirs = parse_flags(arguments(kubernetes))
    for options in (ours, theirs):
        assert (options.port, options.rest_api_port) == (8500, 8501)
        assert options.model_config_file == "/config/models.config"
        assert options.enable_batching and options.enable_grpc_healthcheck_service
        assert options.batching_parameters_file == "/config/batching.config"
        assert options.monitoring_config_file == "/config/monitoring.config"
    assert ours.tensorflow_intra_op_parallelism == 2 and theirs.tensorflow_intra_op_parallelism == 4


def test_compose_mounts_the_models(compose, models):
    (project,) = manifests(compose, "compose.yaml")
    service = project["services"]["serving"]
    assert service["image"] == f"tensorflow/serving:{tf.__version__}"
    assert service["ports"] == ["8500:8500", "8501:8501"]
    mounts = {mount["target"]: mount["source"] for mount in service["volumes"]}
    assert mounts == {"/models": str(models), "/config": "."}
    script = service["healthcheck"]["test"][-1].replace("$$", "$")
    assert script == probe_script(read_exports(models))


def test_the_probe_sees_every_model(models):
    """The script that containers run, against our own server."""
    exports = read_exports(models)
    with Server(models, port=0, rest_api_port=0) as server:
        script = probe_script(exports, server.rest_api_port or 0)
        assert subprocess.run(["bash", "-c", script], timeout=20).returncode == 0
        script = script.replace("plain toy", "plain nobody")
        assert subprocess.run(["bash", "-c", script], timeout=20).returncode == 1
    assert subprocess.run(["bash", "-c", script], stderr=subprocess.DEVNULL).returncode == 1


def test_one_model_with_a_signature_that_cannot_be_batched(tmp_path):
    class Scaled(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None]), tf.TensorSpec([], name="factor")])
        def scale(self, x, factor):
            return {"y": x * factor}

    module = Scaled()
    folder = tmp_path / "Scaled $1"
    tf.saved_model.save(module, f"{folder}/5", signatures=module.scale)
    deploy(folder, "compose", tmp_path / "out", gpu=True)
    assert not (tmp_path / "out" / "batching.config").exists()
    (project,) = manifests(tmp_path / "out", "compose.yaml")
    # A line to be typed, so as a shell reads it.
    assert "localhost:8500 'Scaled $1' \"" in (tmp_path / "out" / "compose.yaml").read_text()
    service = project["services"]["serving"]
    assert project["name"] == "scaled-1"
    assert not [flag for flag in service["command"] if "batching" in flag]
    assert service["image"].endswith("-gpu")
    devices = service["deploy"]["resources"]["reservations"]["devices"]
    assert devices[0]["capabilities"] == ["gpu"]
    assert service["volumes"][0]["target"] == "/models/Scaled $1".replace("$", "$$")
    assert service["volumes"][0]["source"] == str(folder).replace("$", "$$")
    deploy(folder, "kubernetes", tmp_path / "out2", gpu=True, image="registry/ours:1")
    (manifest,) = manifests(tmp_path / "out2", "deployment.yaml")
    kubernetes_validate.validate(manifest, "1.37", strict=True)
    container = manifest["spec"]["template"]["spec"]["containers"][0]
    assert container["image"] == "registry/ours:1"
    assert container["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert container["volumeMounts"][0]["mountPath"] == "/models/Scaled $1"


def test_the_image_is_that_of_the_newest_tensorflow(models):
    toy = read_exports(models)[1]

    def written_by(*versions):
        return [type(toy)(**{**vars(toy), "tensorflow": version}) for version in versions]

    assert image_of(written_by("2.9.1", "2.20.0", "2.20.0-rc1")) == "tensorflow/serving:2.20.0"
    for version in ("2.21.0-dev20260101", ""):
        with pytest.raises(ValueError, match="`image` must be given.*written by TensorFlow"):
            image_of(written_by("2.20.0", version))


def test_files_that_differ_are_kept(models, compose):
    before = {path.name: path.read_text() for path in compose.iterdir()}
    deploy(models, "compose", compose, name="zoo")  # the same again is no change
    assert {path.name: path.read_text() for path in compose.iterdir()} == before
    with pytest.raises(FileExistsError, match="`overwrite` must be True.*batching.config"):
        deploy(models, "compose", compose, name="zoo", cpus=8)
    assert {path.name: path.read_text() for path in compose.iterdir()} == before
    deploy(models, "compose", compose, name="zoo", cpus=8, overwrite=True)
    assert "value: 8" in (compose / "batching.config").read_text()
    deploy(models, "compose", compose, name="zoo", overwrite=True)


def test_wrong_arguments_are_named_and_nothing_is_written(models, tmp_path):
    out = tmp_path / "out"
    cases = [
        ({"to": "helm"}, "`to` must be one of.*compose.*kubernetes.*Received: to='helm'"),
        ({"name": "Zoo_1"}, "`name` must be lower-case letters.*Received: name='Zoo_1'"),
        ({"image": "a b"}, "`image` must be a reference of an image"),
        ({"replicas": 9}, "`replicas` must be 1 or more and at most `max_replicas`"),
        ({"cpus": 0}, "`cpus` must be 1 or more"),
        ({"directory": tmp_path}, "`directory` must be a model folder"),
    ]
    for change, message in cases:
        with pytest.raises(ValueError, match=message):
            deploy(**{"directory": models, "to": "compose", "out": out, **change})
    broken = Path(shutil.copytree(models / "toy", tmp_path / "toy"))
    (broken / "3" / "saved_model.pb").write_bytes(b"garbage")
    with pytest.raises(ValueError, match=r"readable SavedModels.*toy/3', whose.*missing or broken"):
        deploy(broken, "compose", out)
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="`out` must be a folder"):
        deploy(models, "compose", tmp_path / "file")
    assert not out.exists()


def test_the_flags_are_json(compose):
    """Every line of the command is quoted: YAML would read some flags as something else."""
    lines = [line for line in (compose / "compose.yaml").read_text().splitlines() if "--" in line]
    assert all(json.loads(line.split("- ", 1)[1]) for line in lines if line.startswith("      - "))
