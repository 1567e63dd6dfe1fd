"""SERVING.md section 1, row by row: what a server shows to the outside."""

import datetime
import socket
import threading

import grpc
import numpy as np
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from google.protobuf import text_format
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

from polysemy.serving.protos import PredictResponse
from polysemy.serving.server import Server, ServerOptions
from polysemy.serving.server.config_protos import SSLConfig

PREDICT = "/tensorflow.serving.PredictionService/Predict"
CHECK = "/grpc.health.v1.Health/Check"
WATCH = "/grpc.health.v1.Health/Watch"


def predict(channel, request, timeout=20):
    raw = channel.unary_unary(PREDICT)(request.SerializeToString(), timeout=timeout)
    return PredictResponse.FromString(raw)


@pytest.fixture
def request_(asking):
    ones = np.ones((1, 2), "float32")
    return asking["predict_request"](a=ones, b=ones)


@pytest.mark.parametrize(
    "method",
    [
        "tensorflow.serving.SessionService/SessionRun",
        "tensorflow.serving.PredictionService/Learn",
        "tensorflow.ProfilerService/Profile",
        "grpc.health.v1.Health/Check",
        "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    ],
)
def test_what_is_not_served(server, method):
    """`SessionService` is **not** registered. No reflection. Anything else: UNIMPLEMENTED. (There
    is no profiler here either, whatever `--enable_profiler` says.)"""
    with grpc.insecure_channel(server.address) as channel:
        with pytest.raises(grpc.RpcError, check=lambda e: e.code().name == "UNIMPLEMENTED"):
            channel.unary_unary("/" + method)(b"", timeout=20)


def test_health(lab):
    """`grpc.health.v1.Health` only with `--enable_grpc_healthcheck_service`; services `""`,
    `PredictionService`, `ModelService` are SERVING; others NOT_FOUND"""
    lab.add(1)
    server = lab.server(enable_grpc_healthcheck_service=True, shutdown_grace_seconds=30.0)
    Reply = health_pb2.HealthCheckResponse
    with grpc.insecure_channel(server.address) as channel:

        def check(service):
            raw = health_pb2.HealthCheckRequest(service=service).SerializeToString()
            return Reply.FromString(channel.unary_unary(CHECK)(raw, timeout=20)).status

        for service in ("", "PredictionService", "ModelService"):
            assert check(service) == Reply.ServingStatus.Value("SERVING")
        for service in ("tensorflow.serving.PredictionService", "x"):
            with pytest.raises(grpc.RpcError, check=lambda e: e.code().name == "NOT_FOUND"):
                check(service)
        watching = channel.unary_stream(WATCH)(b"", timeout=20)
        assert Reply.FromString(next(watching)).status == Reply.ServingStatus.Value("SERVING")
        server.stop()  # does not wait for the watcher
        last = [Reply.FromString(each).status for each in watching]
    assert last == [Reply.ServingStatus.Value("NOT_SERVING")]


def test_reflection_behind_a_flag(lab):
    """Reflection is Polysemy's own, behind `--enable_grpc_reflection`, for grpcurl."""
    lab.add(1)
    server = lab.server(enable_grpc_reflection=True)
    with grpc.insecure_channel(server.address) as channel:
        database = ProtoReflectionDescriptorDatabase(channel)
        names = {"tensorflow.serving.PredictionService", "tensorflow.serving.ModelService"}
        assert names < set(database.get_services())
        file = database.FindFileContainingSymbol("tensorflow.serving.PredictionService")
        (service,) = file.service
        assert [method.name for method in service.method][:3] == ["Classify", "Regress", "Predict"]
        assert service.method[2].input_type == ".tensorflow.serving.PredictRequest"
        # What the messages are made of can be asked for, too: enough to write a request.
        assert database.FindFileContainingSymbol("tensorflow.TensorProto").message_type


def test_messages_may_be_large(server, asking):
    """receive limit 2^31-1 bytes, send unlimited. An implementation that keeps gRPC's 4 MiB
    default is not compatible"""
    rows = np.ones((2**20, 2), "float32")  # 8 MiB each
    unlimited = [("grpc.max_receive_message_length", -1)]
    with grpc.insecure_channel(server.address, unlimited) as channel:
        answer = predict(channel, asking["predict_request"](a=rows, b=rows))
    assert answer.outputs["difference"].tensor_shape.dim[0].size == 2**20


def test_listens_on_every_address_and_on_a_socket(lab, request_):
    """`0.0.0.0:port`, and/or `unix:` socket"""
    lab.add(1)
    path = lab.root / "grpc.socket"
    server = lab.server(grpc_socket_path=str(path))
    for address in (f"127.0.0.1:{server.port}", f"unix:{path}"):
        with grpc.insecure_channel(address) as channel:
            assert predict(channel, request_).model_spec.version.value == 1
    server.stop()
    alone = lab.server(
        grpc_socket_path=str(path), free_ports=False
    )  # a socket left behind is no hindrance
    assert alone.port == 0 and alone.address == f"unix:{path}"
    with grpc.insecure_channel(alone.address) as channel:
        assert predict(channel, request_).model_spec.version.value == 1


def pem(key):
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


def certificate(name, issuer=None):
    """A key and a certificate for a name, signed by `issuer` (a pair of the same) or by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.timezone.utc)
    signer = issuer[0] if issuer else key
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[1].subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), False)
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), True)
        .sign(signer, hashes.SHA256())
    )
    return key, made


def text(made):
    return made.public_bytes(serialization.Encoding.PEM).decode()


@pytest.mark.parametrize("mutual", [False, True])
def test_tls(lab, request_, mutual):
    """TLS by `--ssl_config_file`; with `client_verify`, clients need a certificate"""
    lab.add(1)
    authority = certificate("authority")
    key, own = certificate("localhost", authority)
    client_key, client = certificate("client", authority)
    config = SSLConfig(
        server_key=pem(key),
        server_cert=text(own),
        custom_ca=text(authority[1]),
        client_verify=mutual,
    )
    file = lab.root / "ssl.config"
    file.write_text(text_format.MessageToString(config))
    server = lab.server(ssl_config_file=str(file), rest_api_port=0)

    def ask(**pair):
        root = text(authority[1]).encode()
        credentials = grpc.ssl_channel_credentials(root, **pair)
        with grpc.secure_channel(server.address, credentials) as channel:
            return predict(channel, request_, timeout=5).model_spec.version.value

    shown = {"private_key": pem(client_key).encode(), "certificate_chain": text(client).encode()}
    assert ask(**shown) == 1
    if mutual:
        with pytest.raises(grpc.RpcError, check=lambda e: e.code().name == "UNAVAILABLE"):
            ask()
    else:
        assert ask() == 1
    with grpc.insecure_channel(server.address) as channel, pytest.raises(grpc.RpcError):
        predict(channel, request_, timeout=5)


def test_rest_is_plain_whatever_the_ssl_config(lab, asking):
    """HTTP/1.1, `::` with fall-back to IPv4, plain only (TLS never applies to it)"""
    lab.add(1)
    key, own = certificate("localhost")
    file = lab.root / "ssl.config"
    config = SSLConfig(server_key=pem(key), server_cert=text(own))
    file.write_text(text_format.MessageToString(config))
    server = lab.server(ssl_config_file=str(file), rest_api_port=0)
    for host in ("127.0.0.1", "localhost"):
        with socket.create_connection((host, server.rest_api_port)) as plain:
            plain.sendall(b"GET /v1/models/pair HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert plain.recv(12) == b"HTTP/1.1 200"


@pytest.mark.parametrize("rest_api_port", [0, None])
def test_rest_may_be_off(lab, rest_api_port):
    """Not exported when the port is 0 or equal to the gRPC port (logged, not fatal)"""
    lab.add(1)
    with socket.socket() as probe:
        probe.bind(("", 0))
        port = probe.getsockname()[1]
    rest = port if rest_api_port is None else 0
    server = lab.server(port=port, free_ports=False, rest_api_port=rest)
    assert server.port == port and server.rest_api_port is None


def test_models_first_then_ports(lab, gate):
    """models first, then ports: nothing listens until every configured model has an available
    version"""
    lab.add(1)
    with socket.socket() as probe:
        probe.bind(("", 0))
        port = probe.getsockname()[1]
    options = ServerOptions(port=port, model_name="pair", model_base_path=str(lab.root / "pair"))
    server = Server(options=options)
    lab.made.append(server.stop)
    thread = threading.Thread(target=server.start)
    thread.start()
    gate.wait_for(1)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))
    gate.open(1)
    thread.join()
    socket.create_connection(("127.0.0.1", port)).close()


def test_a_model_without_versions_makes_the_start_wait(lab, gate):
    """A model without versions makes the start wait for ever"""
    gate.open(1)
    (lab.root / "pair").mkdir()
    quick = {"file_system_poll_wait_seconds": 1, "load_retry_interval_micros": 10_000}
    started = threading.Event()

    def start():
        lab.server(**quick)
        started.set()

    thread = threading.Thread(target=start)
    thread.start()
    assert not started.wait(0.1)
    lab.add(1, name="later")
    (lab.root / "later").joinpath("1").rename(lab.root / "pair" / "1")
    assert started.wait(30)
    thread.join()


def test_a_model_that_fails_ends_the_start(lab):
    """one that fails to load ends the process"""
    lab.add(1, broken=True)
    with pytest.raises(ValueError, match="saved_model.pb must be readable"):
        lab.server()


def test_other_models_start_beside_a_broken_one(lab):
    """One broken or missing model does not stop the others (in TensorFlow Serving it does, and
    here with `--strict_start`)"""
    lab.add(1)
    lab.add(1, name="broken", broken=True)
    configs = lab.config(), lab.config("broken"), lab.config("missing")
    server = lab.server(*configs)
    assert lab.answering(server.manager) == 1
    assert lab.states(server.manager, "broken") == {1: "END"}
    with pytest.raises(ValueError, match="saved_model.pb must be readable"):
        lab.server(*configs[:2], strict_start=True)


def test_long_error_texts_are_cut(lab, server, asking):
    """gRPC messages longer than 1024 bytes are cut and end in `...TRUNCATED`"""
    request = asking["predict_request"]("é" * 2000)
    code, words = asking["grpc"](server.address, "PredictionService/Predict", request)
    assert code == "NOT_FOUND" and words.endswith("...TRUNCATED")
    assert 1020 < len(words.encode()) <= 1024
