"""The tables of tenants behind Microsoft Graph: what says who we are, and what a job may ask of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler import config
from reconciler.config import CertificateProof, FederatedProof, GraphSourceSettings, GraphTargetSettings, SecretProof
from reconciler.core.model import ActiveRule
from reconciler.errors import ConfigError

APP = "0AAAAAAA-0000-4000-8000-000000000001"
TENANT = 'type = "graph"\ntenant = "contoso.com"\nclient_id = "c"\n'
SECRET = 'client_secret = { env = "GRAPH_SECRET" }\n'
JOB = """
[targets.phone]
type = "scim"
url = "http://127.0.0.1/"
[jobs.phone]
source = "entra"
target = "phone"
"""


@pytest.fixture(autouse=True)
def _secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAPH_SECRET", "s")


def loaded(text: str, directory: Path) -> config.Config:
    path = directory / "config.toml"
    path.write_text(text)
    return config.load(path)


def problems(text: str, directory: Path) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        loaded(text, directory)
    return [str(one).replace(f"{directory}/config.toml: ", "") for one in raised.value.problems]


def test_a_tenant_needs_little_to_be_read(tmp_path: Path) -> None:
    found = loaded(f"[sources.entra]\n{TENANT}{SECRET}", tmp_path).sources["entra"]
    assert isinstance(found, GraphSourceSettings)
    assert (found.url, found.login_url) == ("https://graph.microsoft.com/v1.0", "https://login.microsoftonline.com")
    assert (found.active, found.timeout_seconds) == (ActiveRule("accountEnabled"), 30.0)
    assert isinstance(found.proof, SecretProof)


def test_source_and_target_sign_in_in_the_same_three_ways(tmp_path: Path) -> None:
    (tmp_path / "token").touch()
    proofs = (SECRET, 'certificate = { env = "GRAPH_SECRET" }\n', 'federated_token_file = "token"\n')
    kinds = []
    for proof in proofs:
        both = loaded(f"[sources.entra]\n{TENANT}{proof}[targets.entra]\n{TENANT}{proof}", tmp_path)
        source, target = both.sources["entra"], both.targets["entra"]
        assert isinstance(source, GraphSourceSettings) and isinstance(target, GraphTargetSettings)
        assert type(source.proof) is type(target.proof)
        kinds.append(type(source.proof))
    assert kinds == [SecretProof, CertificateProof, FederatedProof]


@pytest.mark.parametrize("proofs", ["", SECRET + 'federated_token_file = "token"\n'])
def test_exactly_one_thing_says_who_we_are(tmp_path: Path, proofs: str) -> None:
    found = problems(f"[sources.entra]\n{TENANT}{proofs}", tmp_path)
    one_of = "must have exactly one of client_secret, certificate, federated_token_file"
    assert found == [f"[sources.entra]: {one_of} (it says who we are)"]


def test_another_cloud_has_other_addresses_without_a_slash_at_their_end(tmp_path: Path) -> None:
    more = 'url = "https://graph.microsoft.us/v1.0/"\nlogin_url = "https://login.microsoftonline.us/"\n'
    found = loaded(f"[sources.entra]\n{TENANT}{SECRET}{more}", tmp_path).sources["entra"]
    assert isinstance(found, GraphSourceSettings)
    assert (found.url, found.login_url) == ("https://graph.microsoft.us/v1.0", "https://login.microsoftonline.us")
    wrong = f'[sources.entra]\n{TENANT}{SECRET}url = "https://graph.microsoft.us/v1.0/users"\n'
    assert "[sources.entra] url: is the address of users or groups" in problems(wrong, tmp_path)[0]


def test_a_job_may_go_by_the_assignments_of_an_app(tmp_path: Path) -> None:
    whole = f'[sources.entra]\n{TENANT}{SECRET}{JOB}service_principal = "{APP}"\nrole_values = {{ Agent = "7" }}\n'
    found = loaded(whole, tmp_path)
    assert found.jobs["phone"].service_principal == APP.lower()
    assert found.warnings == (), "the app's roles are not known here, and somebody may be assigned"
    nobody = loaded(f"[sources.entra]\n{TENANT}{SECRET}{JOB}", tmp_path)
    assert "nobody is assigned" in nobody.warnings[0].problem


WRONG = {
    "no id": ("entra", 'service_principal = "Phone"', "is no id of an application"),
    "another scope": ("entra", f'service_principal = "{APP}"\nscope = "all"', 'decides nothing with scope = "all"'),
    "another source": ("staff", f'service_principal = "{APP}"', "only a source of type graph knows assignments"),
}


@pytest.mark.parametrize("case", WRONG)
def test_an_app_that_cannot_be_asked_for_is_a_problem(tmp_path: Path, case: str) -> None:
    source, line, problem = WRONG[case]
    staff = '[sources.staff]\ntype = "file"\nusers = "users.jsonl"\n'
    job = JOB.replace('"entra"', f'"{source}"')
    assert problem in problems(f"[sources.entra]\n{TENANT}{SECRET}{staff}{job}{line}\n", tmp_path)[0]
