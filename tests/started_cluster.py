"""A Ray cluster as an operator starts it: `ray start` for a head and its nodes, with a token."""

import contextlib
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path

import psutil

MEMORY = 100 * 2**20
START_S = 60.0


class StartedCluster:
    """A head without processors and one node for training; jobs see `environment` too."""

    def __init__(self, environment: Mapping[str, str], cpus: int = 2) -> None:
        self.token = secrets.token_hex(16)
        self._directory = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))  # sockets want short paths
        self._processes: list[subprocess.Popen[bytes]] = []
        self._environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": self.token,
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_JOB_STOP_WAIT_TIME_S": "30",
            "RAY_metrics_report_interval_ms": "3000",
            **environment,
        }
        port, dashboard = free_port(), free_port()
        self.url = f"http://127.0.0.1:{dashboard}"
        try:
            self._start("--head", "--num-cpus=0", f"--port={port}", f"--dashboard-port={dashboard}")
            self._wait_for(f"{self.url}/api/gcs_healthz")
            self._start(f"--address=127.0.0.1:{port}", f"--num-cpus={cpus}")
        except BaseException:
            self.end()
            raise

    @property
    def client(self) -> dict[str, str]:
        """What a user sets to be let in."""
        return {"RAY_AUTH_TOKEN": self.token, "RAY_API_SERVER_ADDRESS": self.url}

    def workers(self) -> list[psutil.Process]:
        """The processes that train."""
        found = []
        for process in self._processes:
            for child in psutil.Process(process.pid).children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess):
                    if child.name().startswith(("ray::train", "ray::Actor")):
                        found.append(child)
        return found

    def metrics(self) -> str:
        """What all nodes export that answer, found as Prometheus finds it."""
        request = urllib.request.Request(
            f"{self.url}/api/prometheus/sd", headers={"Authorization": f"Bearer {self.token}"}
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            targets = [target for group in json.load(answer) for target in group["targets"]]
        texts = []
        for target in targets:
            address = f"http://{target}/metrics"
            with contextlib.suppress(OSError), urllib.request.urlopen(address, timeout=10) as answer:
                texts.append(answer.read().decode())
        return "\n".join(texts)

    def end(self) -> None:
        """End every process of the cluster."""
        for process in self._processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                family = psutil.Process(process.pid)
                for each in [*family.children(recursive=True), family]:
                    with contextlib.suppress(psutil.NoSuchProcess):
                        each.kill()
            process.wait()
        shutil.rmtree(self._directory, ignore_errors=True)

    def _start(self, *options: str) -> None:
        common = (
            *("--block", "--node-ip-address=127.0.0.1", "--disable-usage-stats"),
            *(f"--object-store-memory={MEMORY}", "--metrics-export-port=0"),
            *("--dashboard-agent-listen-port=0", "--dashboard-agent-grpc-port=0"),
            *([f"--temp-dir={self._directory}"] if "--head" in options else []),
        )
        ray = Path(sys.executable).parent / "ray"
        command = [str(ray), "start", *options, *common]
        log = self._directory / f"started-{len(self._processes)}.log"
        with log.open("wb") as said:
            self._processes.append(
                subprocess.Popen(
                    command,
                    env=self._environment,
                    stdout=said,
                    stderr=said,
                    start_new_session=True,
                    cwd=self._directory,
                )
            )

    def _wait_for(self, url: str) -> None:
        deadline = time.monotonic() + START_S
        while True:
            assert self._processes[-1].poll() is None, self._said()
            assert time.monotonic() < deadline, self._said()
            with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=2):
                return
            time.sleep(0.1)

    def _said(self) -> str:
        return (self._directory / f"started-{len(self._processes) - 1}.log").read_text()


def free_port() -> int:
    """A port of this machine that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def started_cluster(**environment: str) -> Iterator[StartedCluster]:
    """A cluster that ends with the block."""
    cluster = StartedCluster(environment)
    try:
        yield cluster
    finally:
        cluster.end()
