"""A Milvus that is not there, or does not answer: one error within the bound, whatever the reason, and then a
rest in which nobody waits again. All over real sockets.
"""

from __future__ import annotations

import base64
import os
import socket
import threading
import time
from contextlib import contextmanager

import grpc
import numpy as np
import pytest

from indexing.errors import MilvusUnavailable, StorageError
from indexing.milvus import client as client_module
from indexing.milvus import connection as connection_module
from indexing.milvus.client import Milvus, connect, disconnect
from indexing.milvus.schema import Layout
from indexing.milvus.settings import MilvusSettings, read_settings
from tests.unit.milvus.conftest import codes_of
from tests.unit.milvus.fake_milvus import FakeMilvus, late, serving
from tests.unit.milvus.test_milvus_client import fill

SECONDS, SLACK = 0.3, 4.0  # what a request may take here, and what a busy machine adds


@contextmanager
def within(seconds=SECONDS, match="", error=MilvusUnavailable):
    began = time.monotonic()
    with pytest.raises(error, match=match):
        yield
    assert time.monotonic() - began < seconds + SLACK


@contextmanager
def listening(answer=None):
    """A port that takes connections, and sends `answer` over them, or nothing at all."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        kept: list[socket.socket] = []

        def accept():
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                kept.append(connection)
                if answer is not None:
                    connection.sendall(answer)

        threading.Thread(target=accept, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        for connection in kept:
            connection.close()


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def test_a_closed_port_is_an_error_that_names_the_address(make_client):
    port = free_port()
    client = make_client(f"http://127.0.0.1:{port}", seconds=SECONDS, token="root:hush-hush")
    said = (
        rf"Milvus at http://127\.0\.0\.1:{port} cannot be reached .* or correct STLIB_MILVUS, or .* 'faiss'"
    )
    with within(match=said) as caught:
        client.names("")
    assert "hush" not in str(caught)


def test_a_port_that_never_answers_is_an_error_within_the_bound(make_client):
    with listening() as port:
        client = make_client(f"http://127.0.0.1:{port}", seconds=SECONDS)
        with within(match=r"did not answer within 0\.3 s: .* raise STLIB_MILVUS_SECONDS"):
            client.names("")


def test_a_port_of_something_else_is_an_error_within_the_bound(make_client):
    with listening(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n") as port:
        client = make_client(f"http://127.0.0.1:{port}", seconds=SECONDS)
        with within(match="Milvus at .* (cannot be reached|did not answer)"):
            client.names("")


def test_a_host_without_an_address_is_an_error_within_the_bound(make_client):
    client = make_client("http://no-such-host.invalid:19530", seconds=SECONDS)
    with within(match=r"no-such-host\.invalid"):
        client.names("")


def test_a_server_that_answers_too_late_is_an_error_within_the_bound(cluster, fake, vectors):
    client = cluster(seconds=SECONDS)
    name, layout, _ = fill(client, "float32", vectors)
    fake.before = late(SECONDS + 0.3)
    with within(match=r"did not answer within 0\.3 s"):
        client.nearest(name, layout, vectors[0], 1)


def test_one_that_dies_in_the_midst_of_a_batch_is_an_error_and_the_rest_is_sent_again(
    cluster, fake, port, vectors, monkeypatch
):
    monkeypatch.setattr(client_module, "BATCH_BYTES", 12_800)
    client = cluster(seconds=SECONDS)
    codec, codes = codes_of("float32", vectors)
    layout, keys = Layout.of(codec, client.settings), np.arange(1, 301)
    client.create("stlib_x_1_1", layout)

    def die(method, request, context):
        if method == "Upsert" and len(fake.of("Upsert")) == 2:
            fake.before = lambda *_: None
            fake.server.stop(None)
            time.sleep(0.3)

    fake.before = die
    with within(match="cannot be reached"):
        client.upsert("stlib_x_1_1", layout, keys, codes)
    assert 100 <= len(fake.rows["stlib_x_1_1"]) < 300
    fake.server.stop(None).wait(2)
    with serving(fake, f"127.0.0.1:{port}"):
        client.close()
        client._connection._rest_until = 0.0
        client.upsert("stlib_x_1_1", layout, keys, codes)
        assert client.all_keys("stlib_x_1_1").tolist() == keys.tolist()


def test_a_token_that_is_refused_is_an_error_that_does_not_show_it(cluster, fake):
    client = cluster(token="root:hush-hush")

    def refuse(method, request, context):
        context.abort(grpc.StatusCode.UNAUTHENTICATED, "auth check failure, please check username")

    fake.before = refuse
    with pytest.raises(MilvusUnavailable, match=r"does not let us in .* STLIB_MILVUS_TOKEN") as caught:
        client.names("")
    assert "hush" not in str(caught.value)
    assert "hush" not in repr(client.settings)


def test_a_server_that_is_no_milvus_is_told_apart(make_client):
    with serving_nothing() as port:
        client = make_client(f"http://127.0.0.1:{port}")
        with within(match="is this the port of Milvus itself", error=StorageError):
            client.names("")


@contextmanager
def serving_nothing():
    """gRPC without a service."""
    from concurrent.futures import ThreadPoolExecutor

    server = grpc.server(ThreadPoolExecutor(1))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield port
    server.stop(0.1).wait(2)


def rest(client, seconds):
    """Milvus is left alone for so long from now on."""
    client._connection._rest_until = time.monotonic() + seconds


def rested(client):
    """As if the time was over for which Milvus is left alone; how long it was."""
    rest(client, 0.0)
    client._connection._failed_at = -60.0
    return client._connection._rest


def test_after_a_failure_nobody_waits_again_until_it_is_back(cluster, fake, vectors):
    client = cluster(seconds=SECONDS)
    name, layout, _ = fill(client, "float32", vectors)
    fake.before = late(SECONDS + 0.3)
    with within(match="did not answer"):
        client.nearest(name, layout, vectors[0], 1)
    rest(client, 60.0)  # twenty may take longer than two seconds on a busy machine
    asked, began = len(fake.requests), time.monotonic()
    for _ in range(20):
        with pytest.raises(MilvusUnavailable, match=r"did not answer within .* it is asked again in"):
            client.nearest(name, layout, vectors[0], 1)
    assert time.monotonic() - began < 3  # each of them would wait for 0.3
    assert len(fake.requests) == asked
    assert "did not answer" in client.away
    assert rested(client) == connection_module.FIRST_REST
    assert "did not answer" in client.away  # until it has answered
    with within(match="did not answer"):  # it is asked whether it is there, and is not
        client.nearest(name, layout, vectors[0], 1)
    assert fake.requests[-1][0] == "GetVersion"
    assert rested(client) == 2 * connection_module.FIRST_REST
    fake.before = lambda *_: None
    assert client.nearest(name, layout, vectors[0], 1).keys.tolist() == [1]
    assert client.away == ""


def test_of_many_threads_one_asks_whether_it_is_back(cluster, fake):
    client = cluster(seconds=SECONDS)
    fake.before = late(SECONDS + 0.2)
    with within(match="did not answer"):
        client.names("")
    rested(client)
    before, slow = len(fake.requests), []

    def ask():
        began = time.monotonic()
        with pytest.raises(MilvusUnavailable):
            client.names("")
        slow.append(time.monotonic() - began > SECONDS / 2)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(fake.requests) - before == 1
    assert sum(slow) == 1


def test_a_server_that_comes_back_is_found(make_client, fake, monkeypatch):
    monkeypatch.setattr(connection_module, "FIRST_REST", 0.1)
    port = free_port()
    client = make_client(f"http://127.0.0.1:{port}", seconds=2.0)
    with within(match="cannot be reached"):
        client.version()
    with serving(fake, f"127.0.0.1:{port}"):
        deadline = time.monotonic() + 8
        while time.monotonic() < deadline:
            try:
                assert client.version() == "2.6.0-fake"
                break
            except MilvusUnavailable:
                time.sleep(0.1)
        else:
            pytest.fail("not found within eight seconds")


def test_a_server_that_was_started_anew_between_two_searches_is_not_away(cluster, fake, port, vectors):
    client = cluster(seconds=2.0)
    name, layout, _ = fill(client, "float32", vectors)
    for _ in range(3):
        fake.server.stop(None).wait(2)
        with serving(fake, f"127.0.0.1:{port}"):
            assert client.nearest(name, layout, vectors[4], 1).keys.tolist() == [5]
            assert client.away == ""


def test_one_client_serves_all_threads_of_a_process(port):
    settings = read_settings({"STLIB_MILVUS": f"http://127.0.0.1:{port}"})
    try:
        found = []
        threads = [threading.Thread(target=lambda: found.append(connect(settings))) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len({id(client) for client in found}) == 1
        assert connect(settings).version() == "2.6.0-fake"
    finally:
        disconnect()


def test_a_token_that_was_renewed_is_that_of_the_same_client(fake, port):
    """What a snapshot holds is asked with the new one, and over the same connection."""
    address = f"http://127.0.0.1:{port}"
    try:
        held = connect(MilvusSettings(address, token="root:old"))
        assert held.version() == "2.6.0-fake"
        assert connect(MilvusSettings(address, token="root:new")) is held
        assert held.version() == "2.6.0-fake"
        assert connect(MilvusSettings(address, token="root:new", database="other")) is not held
        said = [base64.b64decode(metadata["authorization"]) for _, _, metadata in fake.requests]
        assert said == [b"root:old", b"root:new"]
    finally:
        disconnect()


def test_a_request_that_was_cut_off_by_this_process_does_not_count_as_away(cluster, fake):
    client = cluster(seconds=10.0)
    client.version()
    fake.before = late(1.0)
    said = []

    def ask():
        with pytest.raises(MilvusUnavailable) as caught:
            client.names("")
        said.append(str(caught.value))

    thread = threading.Thread(target=ask)
    thread.start()
    deadline = time.monotonic() + 10
    while not fake.of("ShowCollections") and time.monotonic() < deadline:
        time.sleep(0.01)
    client.close()
    thread.join()
    assert "was closed meanwhile: try again" in said[0]
    assert client.away == ""
    fake.before = lambda *_: None
    assert client.names("") == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # that threads may hold locks in the child
def test_a_forked_child_has_a_connection_of_its_own(cluster):
    client = cluster()
    assert client.version() == "2.6.0-fake"
    child = os.fork()
    if not child:
        try:
            os._exit(0 if client.version() == "2.6.0-fake" else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert client.version() == "2.6.0-fake"


def test_nothing_is_asked_before_the_first_request():
    client = Milvus(MilvusSettings("http://127.0.0.1:1"))
    assert (client.away, client.address) == ("", "http://127.0.0.1:1")
    client.close()


@pytest.fixture
def certificate(tmp_path):
    """A key and a certificate for the name `milvus.test`, which has signed itself."""
    import datetime

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "milvus.test")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("milvus.test")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path / "ca.pem"
    file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    secret = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    return file, grpc.ssl_server_credentials([(secret, file.read_bytes())])


def test_https_is_spoken_to_whom_the_certificate_was_made_for(certificate, make_client):
    file, credentials = certificate
    with serving(FakeMilvus(), credentials=credentials) as port:
        address = f"https://127.0.0.1:{port}"
        client = make_client(address, ca=str(file), name="milvus.test", seconds=2.0)
        assert client.version() == "2.6.0-fake"
        stranger = make_client(address, name="milvus.test", seconds=SECONDS)
        with within(match="cannot be reached|did not answer"):
            stranger.version()
        plain = make_client(f"http://127.0.0.1:{port}", seconds=SECONDS)
        with within(match="cannot be reached|did not answer"):
            plain.version()
