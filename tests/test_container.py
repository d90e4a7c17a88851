"""The files that make and run a container fit together, and with the program."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from reconciler import config
from reconciler.cli import COMMANDS

HERE = Path(__file__).parent.parent
USER = 10001


def instructions() -> list[tuple[str, str]]:
    """Return the instructions of the Containerfile with their arguments, in order."""
    text = re.sub(r"\\\n\s*", "", (HERE / "container/Containerfile").read_text())
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines)]


def last_stage() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for word, rest in instructions():
        if word == "FROM":
            found.clear()
        found.setdefault(word, []).append(rest)
    return found


def environment() -> dict[str, str]:
    return dict(pair.split("=", 1) for pair in last_stage()["ENV"][0].split())


def compose() -> Any:
    return yaml.safe_load((HERE / "container/compose.yaml").read_text())


def documents() -> dict[str, Any]:
    """Return what is asked of Kubernetes, by kind."""
    read = list(yaml.safe_load_all((HERE / "container/kubernetes.yaml").read_text()))
    assert all({"apiVersion", "kind", "metadata"} <= document.keys() for document in read)
    return {document["kind"]: document for document in read}


def pod() -> Any:
    return documents()["Deployment"]["spec"]["template"]["spec"]


def container(name: str) -> Any:
    (found,) = [one for one in pod()["containers"] if one["name"] == name]
    return found


# --- the image ---------------------------------------------------------------------------------------------------


def test_everything_that_is_copied_is_there_and_gets_into_the_context() -> None:
    let_in = {line[1:] for line in (HERE / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = [rest.split() for word, rest in instructions() if word == "COPY" and not rest.startswith("--from")]
    names = [name for *sources, _ in copied for name in sources]
    assert names
    for name in names:
        assert (HERE / name).exists(), name
        assert name.split("/")[0] in let_in, name


def test_packages_come_from_locks_with_hashes_and_nothing_is_compiled() -> None:
    installs = [rest for word, rest in instructions() if word == "RUN" and " install " in rest and "pip" in rest]
    locked = [line for line in installs if "-r " in line]
    assert [re.findall(r"-r (\S+)", line) for line in locked] == [
        ["requirements/container.txt"],
        ["requirements/build.txt"],
    ]
    assert all("--require-hashes --only-binary :all:" in line for line in locked)
    assert all("--no-deps" in line and "--no-index" in line for line in installs if line not in locked)


def test_what_runs_is_nobody_in_particular_and_hears_signals() -> None:
    stage = last_stage()
    assert stage["USER"] == [f"{USER}:{USER}"]
    assert json.loads(stage["ENTRYPOINT"][0]) == ["reconciler"], "no shell stands between the signal and the daemon"
    (command,) = json.loads(stage["CMD"][0])
    assert command in COMMANDS
    check = re.search(r"CMD (\[.*\])", stage["HEALTHCHECK"][0])
    assert check is not None
    program, command = json.loads(check[1])
    assert (program, command in COMMANDS) == ("reconciler", True)
    assert set(json.loads(stage["VOLUME"][0])) == {environment()["STATE_DIRECTORY"], environment()["RUNTIME_DIRECTORY"]}
    made = " ".join(stage["RUN"])
    assert all(f"-o {USER} -g {USER} -m 07" in made and place in made for place in json.loads(stage["VOLUME"][0]))


# --- compose -----------------------------------------------------------------------------------------------------


def test_compose_keeps_the_root_file_system_read_only_and_mounts_what_is_written() -> None:
    described = compose()
    (service,) = described["services"].values()
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["build"]["dockerfile"] == "container/Containerfile"
    assert (HERE / "container" / service["build"]["context"]).resolve() == HERE
    mounts = dict(mount.split(":")[:2][::-1] for mount in service["volumes"])
    told = ("STATE_DIRECTORY", "RUNTIME_DIRECTORY", "RECONCILER_CONFIG")
    assert mounts.keys() >= {environment()[name] for name in told}
    assert {source for source in mounts.values() if not source.startswith(".")} == described["volumes"].keys()
    assert set(service["secrets"]) == described["secrets"].keys()
    assert environment()["CREDENTIALS_DIRECTORY"] == "/run/secrets", "where compose puts them"
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])


def test_compose_starts_it_again_after_a_failure_and_after_a_boot_and_looks_after_it() -> None:
    (service,) = compose()["services"].values()
    assert service["restart"] == "always", "on-failure starts nothing when the machine was started anew"
    check = service["healthcheck"]
    of_the_image = last_stage()["HEALTHCHECK"][0]
    assert json.dumps(check["test"][1:]) == of_the_image.partition(" CMD ")[2]
    said = {name.replace("-", "_"): value for name, value in re.findall(r"--([a-z-]+)=(\S+)", of_the_image)}
    assert {name: str(check[name]) for name in said} == said


# --- Kubernetes --------------------------------------------------------------------------------------------------


@pytest.fixture
def loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> config.Config:
    """The configuration of the ConfigMap, in the image's environment."""
    for name in ("STATE_DIRECTORY", "RUNTIME_DIRECTORY", "CREDENTIALS_DIRECTORY"):
        monkeypatch.setenv(name, environment()[name])
    path = tmp_path / "config.toml"
    path.write_text(documents()["ConfigMap"]["data"][Path(environment()["RECONCILER_CONFIG"]).name])
    return config.load(path)


def test_the_config_map_is_a_configuration(loaded: config.Config) -> None:
    assert loaded.state_url == f"sqlite:///{environment()['STATE_DIRECTORY']}/state.db"
    assert str(loaded.control_socket) == container("app")["env"][0]["value"]
    assert loaded.metrics is not None
    assert loaded.metrics.port == container("reconciler")["ports"][0]["containerPort"]
    app, daemon = (container(name)["securityContext"]["runAsUser"] for name in ("app", "reconciler"))
    assert (loaded.control.operators, loaded.control.readers) == ((str(daemon),), (str(app),))
    assert daemon == pod()["securityContext"]["fsGroup"] == USER
    named = re.findall(r'credential = "(.*?)"', documents()["ConfigMap"]["data"]["config.toml"])
    assert set(named) == documents()["Secret"]["stringData"].keys()


def test_every_mount_has_its_volume_and_the_socket_is_shared() -> None:
    volumes = {volume["name"]: volume for volume in pod()["volumes"]}
    mounts = {one["name"]: {m["name"]: m["mountPath"] for m in one["volumeMounts"]} for one in pod()["containers"]}
    assert set().union(*mounts.values()) == volumes.keys()
    assert mounts["app"]["socket"] == mounts["reconciler"]["socket"] == environment()["RUNTIME_DIRECTORY"]
    assert "emptyDir" in volumes["socket"]
    assert mounts["reconciler"]["state"] == environment()["STATE_DIRECTORY"]
    assert mounts["reconciler"]["config"] == str(Path(environment()["RECONCILER_CONFIG"]).parent)
    assert mounts["reconciler"]["secrets"] == environment()["CREDENTIALS_DIRECTORY"]
    assert mounts["reconciler"]["tmp"] == "/tmp"
    assert volumes["config"]["configMap"]["name"] == documents()["ConfigMap"]["metadata"]["name"]
    assert volumes["secrets"]["secret"]["secretName"] == documents()["Secret"]["metadata"]["name"]
    claim = documents()["PersistentVolumeClaim"]["metadata"]["name"]
    assert volumes["state"]["persistentVolumeClaim"]["claimName"] == claim


def test_the_pod_is_confined_and_its_probes_are_commands_that_there_are() -> None:
    described = documents()["Deployment"]["spec"]
    assert (described["replicas"], described["strategy"]["type"]) == (1, "Recreate")
    assert described["selector"]["matchLabels"] == described["template"]["metadata"]["labels"]
    assert pod()["securityContext"]["runAsNonRoot"] is True
    assert pod()["terminationGracePeriodSeconds"] >= 60 + 5
    for one in pod()["containers"]:
        security = one["securityContext"]
        assert (security["allowPrivilegeEscalation"], security["capabilities"]) == (False, {"drop": ["ALL"]})
    sidecar = container("reconciler")
    assert sidecar["securityContext"]["readOnlyRootFilesystem"] is True
    assert sidecar["args"][0] in COMMANDS
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        program, command, *_ = sidecar[probe]["exec"]["command"]
        assert (program, command in COMMANDS) == ("reconciler", True)
