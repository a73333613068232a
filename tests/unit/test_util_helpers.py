"""Small helpers of `stlib.util` by hand-computed answers."""

from __future__ import annotations

import functools
import http.server
import logging
import os
import threading
import urllib.error

import pytest
import torch

from stlib import util
from stlib.errors import InvalidInput
from stlib.util.environment import get_installed_version, suggest_extra_on_exception


@pytest.fixture
def server():
    """A web server on this machine: /file has 100 000 bytes, /short breaks off, /moved leads to /file."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            if self.path == "/moved":
                self.send_response(302)
                self.send_header("Location", "/file")
                self.end_headers()
                return
            self.send_response(200 if self.path in ("/file", "/short") else 404)
            self.send_header("Content-Length", "100000")
            self.end_headers()
            self.wfile.write(b"x" * (100_000 if self.path == "/file" else 10))

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as web:
        thread = threading.Thread(target=web.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{web.server_port}"
        web.shutdown()
        thread.join()


@pytest.mark.parametrize("path", ["/file", "/moved"])
def test_download_is_complete(server, tmp_path, path):
    util.http_get(server + path, str(tmp_path / "a" / "b.bin"))
    assert (tmp_path / "a" / "b.bin").read_bytes() == b"x" * 100_000
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["b.bin"]


@pytest.mark.parametrize(("path", "error"), [("/none", urllib.error.HTTPError), ("/short", OSError)])
def test_failed_download_leaves_what_was_there(server, tmp_path, path, error):
    (tmp_path / "b.bin").write_bytes(b"before")
    with pytest.raises(error):
        util.http_get(server + path, str(tmp_path / "b.bin"))
    assert (tmp_path / "b.bin").read_bytes() == b"before"
    assert len(list(tmp_path.iterdir())) == 1


def test_local_files_are_not_downloaded(tmp_path):
    (tmp_path / "secret").write_text("x")
    with pytest.raises(InvalidInput, match="only http and https"):
        util.http_get((tmp_path / "secret").as_uri(), str(tmp_path / "copy"))


def test_disabled_bar_shows_nothing(capsys):
    assert list(util.disabled_tqdm(range(3), disable=False)) == [0, 1, 2]
    del util.disabled_tqdm(total=1)._lock
    captured = capsys.readouterr()
    assert captured.out + captured.err == ""


def test_last_row_of_a_table_grows(tmp_path):
    table = tmp_path / "t.csv"
    table.write_text('a,b\n1,"x, y"\n2,z\n', encoding="utf-8")
    assert util.append_to_last_row(str(table), [0.5, "é"])
    assert table.read_text(encoding="utf-8").splitlines() == ["a,b", '1,"x, y"', "2,z,0.5,é"]
    table.write_text("a,b\n", encoding="utf-8")
    assert not util.append_to_last_row(str(table), [1])
    assert table.read_text(encoding="utf-8") == "a,b\n"


def test_caching_of_datasets_is_off_inside_only():
    datasets = pytest.importorskip("datasets")
    was = datasets.is_caching_enabled()
    with util.disable_datasets_caching():
        assert not datasets.is_caching_enabled()
    assert datasets.is_caching_enabled() == was


def test_names_of_scoring_functions():
    class Scaled:
        similarity_fn_name = "dot"

        def __call__(self, a, b):
            return a

        def get_config_dict(self):
            return {"scale": 2, "how": "x"}

        def similarity(self, a, b):
            return a

        def similarity_pairwise(self, a, b):
            return a

    assert util.similarity_fct_name(util.cos_sim) == "cos_sim"
    assert util.similarity_fct_name(functools.partial(util.cos_sim, b=1)) == "cos_sim(b=1)"
    assert util.similarity_fct_name(functools.partial(util.dot_score)) == "dot_score"
    assert util.similarity_fct_name(Scaled()) == "Scaled(scale=2, how='x')"
    assert util.similarity_fct_name(Scaled().similarity) == "dot_score"
    assert util.similarity_fct_name(Scaled().similarity_pairwise) == "pairwise_dot_score"


def test_device_is_that_of_the_launched_process(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    assert util.get_device_name() == "cuda:0"
    monkeypatch.setenv("LOCAL_RANK", "3")
    assert util.get_device_name() == "cuda:3"


def test_versions_are_those_that_run(monkeypatch):
    import platform

    assert get_installed_version("python") == platform.python_version()
    assert get_installed_version("no-such-package") is None
    monkeypatch.setattr(torch, "__version__", "99.0")
    assert get_installed_version("torch") == "99.0"


@pytest.mark.parametrize(
    ("message", "package"),
    [
        ("No module named 'PIL'", "pillow"),
        ("module 'torchvision.io' has no attribute 'read_video'", "torchcodec"),
        ("librosa is missing", "librosa"),
        ("AutoImageProcessor requires the Torchvision library", "torchvision"),
    ],
)
def test_missing_packages_are_named(message, package):
    with pytest.raises(ImportError, match=f"; run: pip install -U {package}$"), suggest_extra_on_exception():
        raise ImportError(message)


def test_other_errors_stay_as_they_are():
    with pytest.raises(AttributeError, match=r"^cannot compile$"), suggest_extra_on_exception():
        raise AttributeError("cannot compile")


def test_a_process_alone():
    assert (util.get_rank(), util.get_world_size(), util.is_dist_initialized()) == (0, 1, False)
    x = torch.ones(2, 3)
    with pytest.warns(UserWarning, match="no group of processes"):
        assert util.all_gather(x) is x


def _in_group(rank: int, file: str) -> None:
    torch.distributed.init_process_group("gloo", init_method=f"file://{file}", rank=rank, world_size=2)
    assert (util.get_rank(), util.get_world_size()) == (rank, 2)
    own = torch.full((1, 2), float(rank), requires_grad=True)
    both = util.all_gather(own)
    torch.testing.assert_close(both.detach(), torch.tensor([[0.0, 0.0], [1.0, 1.0]]))
    both.sum().backward()
    torch.testing.assert_close(own.grad, torch.ones(1, 2))
    torch.testing.assert_close(util.all_gather_with_grad(own).detach(), both.detach())
    tokens, mask = torch.ones(1, 1 + rank, 3), torch.ones(1, 1 + rank)
    gathered, gathered_mask = util.all_gather_padded(tokens, mask)
    assert gathered_mask.tolist() == [[1, 0], [1, 1]]
    torch.testing.assert_close(gathered, gathered_mask.unsqueeze(-1).expand(2, 2, 3))
    torch.distributed.barrier()
    os._exit(0)  # gloo may abort a process that takes its threads down while the other one still does


def test_a_group_of_processes_gathers(tmp_path):
    torch.multiprocessing.spawn(_in_group, args=(str(tmp_path / "meeting"),), nprocs=2)


def test_tensors_are_moved_in_their_nesting():
    value = {"a": [torch.ones(2), (torch.zeros(1), "x")], "b": 3}
    moved = util._move_tensors_to_cpu(value)
    assert moved["b"] == 3
    assert moved["a"][1][1] == "x"
    assert isinstance(moved["a"][1], tuple)
    torch.testing.assert_close(moved["a"][0], torch.ones(2))
    assert util._convert_to_batch(torch.ones(3)).shape == (1, 3)


def test_quiet_sections_end(caplog):
    with util.disable_logging():
        logging.getLogger("x").critical("lost")
    logging.getLogger("x").critical("kept")
    assert [record.message for record in caplog.records] == ["kept"]
