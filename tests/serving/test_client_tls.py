"""Encrypted connections, with and without a certificate of the client."""

import datetime
import http.server
import ipaddress
import ssl
import threading
from concurrent import futures

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from polysemy.serving import TLS, Client
from polysemy.serving.client_protos import GetModelStatusResponse
from polysemy.serving.client_retry import Retry
from polysemy.serving.errors import ServingError


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Paths: an authority, and a certificate and key by it for the server and for the client."""
    folder = tmp_path_factory.mktemp("tls")
    now = datetime.datetime.now(datetime.timezone.utc)
    authority_key = ec.generate_private_key(ec.SECP256R1())
    paths = {}

    def write(name, data):
        paths[name] = folder / f"{name}.pem"
        paths[name].write_bytes(data)

    def certificate(name, key, issuer, authority):
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        made = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer or subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .sign(authority_key, hashes.SHA256())
        )
        write(name, made.public_bytes(serialization.Encoding.PEM))
        return made.subject

    issuer = certificate("authority", authority_key, None, True)
    for name in ("server", "client"):
        key = ec.generate_private_key(ec.SECP256R1())
        certificate(name, key, issuer, False)
        kind = serialization.PrivateFormat.PKCS8
        none = serialization.NoEncryption()
        write(f"{name}_key", key.private_bytes(serialization.Encoding.PEM, kind, none))
    return paths


@pytest.fixture
def grpc_server(files):
    """Starts a gRPC server that says that version 7 is available; returns its address."""
    servers = []

    def start(mutual):
        answer = GetModelStatusResponse()
        answer.model_version_status.add(version=7, state=30)
        data = answer.SerializeToString()
        handler = grpc.unary_unary_rpc_method_handler(lambda request, context: data)
        service = "tensorflow.serving.ModelService"
        server = grpc.server(futures.ThreadPoolExecutor(2))
        generic = grpc.method_handlers_generic_handler(service, {"GetModelStatus": handler})
        server.add_generic_rpc_handlers((generic,))
        pair = (files["server_key"].read_bytes(), files["server"].read_bytes())
        root = files["authority"].read_bytes() if mutual else None
        credentials = grpc.ssl_server_credentials([pair], root, mutual)
        port = server.add_secure_port("localhost:0", credentials)
        server.start()
        servers.append(server)
        return f"localhost:{port}"

    yield start
    for server in servers:
        server.stop(None).wait()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):  # noqa: N802, the name that http.server calls
        body = b'{"model_version_status": [{"version": "7", "state": "AVAILABLE"}]}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """Refused handshakes are what the tests are about: nothing to print."""


@pytest.fixture
def https_server(files):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files["server"], files["server_key"])
    context.load_verify_locations(files["authority"])
    context.verify_mode = ssl.CERT_REQUIRED
    with Server(("localhost", 0), Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"https://localhost:{server.server_port}"
        server.shutdown()


def status(address, tls):
    with Client(address, timeout=20, tls=tls, retry=Retry(attempts=1)) as client:
        return client.status("m")


def test_the_server_is_checked(grpc_server, files):
    address = grpc_server(mutual=False)
    assert status(address, TLS(authority=files["authority"])) == {7: "AVAILABLE"}
    for tls in (None, True, TLS(authority=files["client"])):
        with pytest.raises(ServingError, match="UNAVAILABLE"):
            status(address, tls)


def test_the_client_is_checked(grpc_server, https_server, files):
    proof = {"certificate": files["client"], "key": files["client_key"]}
    for address in (grpc_server(mutual=True), https_server):
        assert status(address, TLS(files["authority"], **proof)) == {7: "AVAILABLE"}
        with pytest.raises(ServingError, match="UNAVAILABLE"):
            status(address, TLS(files["authority"]))
    with pytest.raises(ServingError, match="UNAVAILABLE: .*(certificate|CERTIFICATE)"):
        status(https_server, None)


def test_wrong_arguments_are_named(files):
    with pytest.raises(ValueError, match="`certificate` and `key` must be given together"):
        TLS(certificate=files["client"])
    with pytest.raises(OSError, match="nothing.pem"):
        TLS(authority="nothing.pem")
    with pytest.raises(ValueError, match="must be https:// with `tls`"):
        Client("http://localhost:1", tls=True)
