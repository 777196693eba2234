"""What runs inside of the images: the import smoke test of their build, and their health check."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

IMAGES = Path(__file__).parents[3] / "deploy/images"


def run(script: str, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-I", IMAGES / script, *arguments],
        check=False,
        capture_output=True,
        text=True,
        env=environ,
        timeout=60,
    )


@contextmanager
def server(status: int, asked: list[str]) -> Iterator[int]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(b'{"ready": false, "reasons": ["no volume"]}')

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield running.server_port
        finally:
            running.shutdown()
            thread.join()


@pytest.mark.parametrize(("status", "exit_status"), [(200, 0), (503, 1), (404, 1)])
def test_the_health_check_fails_unless_the_answer_is_200_and_tells_the_reasons(
    status: int, exit_status: int
) -> None:
    asked: list[str] = []
    with server(status, asked) as port:
        done = run("ready.py", HEALTH_PORT=str(port))
    assert (done.returncode, asked) == (exit_status, ["/readyz"])
    assert "no volume" in done.stdout


def test_the_health_check_asks_the_path_that_it_is_given() -> None:
    asked: list[str] = []
    with server(200, asked) as port:
        assert run("ready.py", str(port), "/api/v1/users/").returncode == 0
    assert asked == ["/api/v1/users/"]


def test_the_health_check_fails_without_an_answer() -> None:
    with server(200, []) as port:
        pass
    done = run("ready.py", HEALTH_PORT=str(port))
    assert done.returncode == 1
    assert "does not answer" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "exit_status"),
    [
        (["json", "--absent", "no.such.module", "nosuchmodule"], 0),
        (["json", "--absent", "nosuchmodule", "asyncio"], 1),
        (["nosuchmodule"], 1),
    ],
)
def test_a_build_ends_where_a_module_is_missing_or_one_too_many(
    arguments: list[str], exit_status: int
) -> None:
    done = run("import_smoke.py", *arguments)
    assert done.returncode == exit_status, done.stderr
    assert ("json" in arguments) == ("asyncio" in done.stderr or "modules imported" in done.stdout)
