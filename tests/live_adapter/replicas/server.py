"""A real Redis server for tests: the system's, or that of a wheel."""

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from benchmarks.bench_replicas import free_port, redis_command


class Server:
    """One server on a port of its own, which keeps nothing on disk."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._process = folder, None
        self.port = free_port()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        try:
            command = redis_command(self.port)
        except ImportError:
            pytest.skip("no redis-server: neither the system nor a wheel has it")
        self._process = subprocess.Popen(command, cwd=self._folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until_s = time.monotonic() + 10
        while time.monotonic() < until_s:
            try:
                socket.create_connection(("127.0.0.1", self.port), 0.2).close()
                return
            except OSError:
                time.sleep(0.02)
        raise AssertionError("redis-server does not answer")

    def stop(self) -> None:
        """End it at once."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@contextmanager
def redis_server(folder: Path) -> Iterator[Server]:
    """A server that runs."""
    server = Server(folder)
    server.start()
    try:
        yield server
    finally:
        server.stop()
