"""check, schema, init, as they are typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reconciler import cli, config, vendors
from tests.config.texts import JOB, SOUND


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", ["reconciler", *arguments])
    with pytest.raises(SystemExit) as end:
        cli.main()
    return int(end.value.code or 0)


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RECONCILER_CONFIG", raising=False)
    monkeypatch.delenv("PHONE_TOKEN", raising=False)
    return tmp_path


def test_check_says_what_there_is(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    Path("config.toml").write_text(SOUND + JOB, "utf-8")
    assert run(monkeypatch, "check") == 0
    printed = capsys.readouterr()
    assert printed.out == (
        "config.toml: in order. 1 job, 1 source, 1 target, 1 warning.\n"
        "  phone: users from staff to phone, scope all, every 40m\n"
    )
    assert printed.err == (
        "warning: config.toml: [targets.phone] auth.token: the environment variable PHONE_TOKEN is not set "
        "(set it where reconciler is started)\n"
    )


def test_check_names_the_jobs_that_share_a_target(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("config.toml").write_text(SOUND + JOB + JOB.replace("jobs.phone", "jobs.sales"), "utf-8")
    assert run(monkeypatch, "check") == 0
    assert "  phone and sales share one target: an account is disabled when none" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [("-c", "other.toml", "check"), ("check", "-c", "other.toml")])
def test_the_file_is_named_before_or_after_the_command(
    arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("other.toml").write_text("", "utf-8")
    assert run(monkeypatch, *arguments) == 0
    assert capsys.readouterr().out.startswith("other.toml: in order. 0 jobs")


def test_check_prints_every_problem_and_exits_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("config.toml").write_text(SOUND + JOB.replace('"phone"', '"phnoe"') + 'interval = "S3CRET"\n', "utf-8")
    assert run(monkeypatch, "check") == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == (
        "error: config.toml: [jobs.phone] target: unknown target 'phnoe' (did you mean 'phone'?)\n"
        "error: config.toml: [jobs.phone] interval: is no duration "
        '(write a number and one of s, m, h, d, w: "40m", "3d")\n'
    )


def test_check_prints_its_findings_as_json(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    Path("config.toml").write_text(SOUND + JOB.replace('"phone"', '"phnoe"'), "utf-8")
    assert run(monkeypatch, "check", "--json") == 2
    printed = capsys.readouterr()
    assert json.loads(printed.out) == {
        "ok": False,
        "problems": [
            {
                "where": "config.toml: [jobs.phone] target",
                "problem": "unknown target 'phnoe'",
                "hint": "did you mean 'phone'?",
            }
        ],
        "warnings": [],
    }
    Path("config.toml").write_text(SOUND + JOB, "utf-8")
    assert run(monkeypatch, "check", "--json") == 0
    findings = json.loads(capsys.readouterr().out)
    assert (findings["ok"], findings["problems"]) == (True, [])
    assert findings["warnings"][0]["where"] == "config.toml: [targets.phone] auth.token"


def test_check_shows_where_an_expression_breaks_off(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    users = """[jobs.phone.users]\nattributes = [{ to = "title", expression = 'Join(" ", [givenName] [surname])' }]\n"""
    Path("config.toml").write_text(SOUND + JOB + users, "utf-8")
    assert run(monkeypatch, "check") == 2
    assert capsys.readouterr().err.endswith("""  Join(" ", [givenName] [surname])\n                        ^\n""")
    assert run(monkeypatch, "check", "--json") == 2
    (problem,) = json.loads(capsys.readouterr().out)["problems"]
    line, caret = problem["excerpt"].splitlines()
    assert line[caret.index("^") :] == "[surname])"


def test_a_secret_file_that_others_may_read_fails_the_check(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("token").write_text("S3CRET", "utf-8")
    Path("token").chmod(0o644)
    Path("config.toml").write_text(SOUND.replace('{ env = "PHONE_TOKEN" }', '{ file = "token" }'), "utf-8")
    assert run(monkeypatch, "check") == 2
    printed = capsys.readouterr()
    assert "[targets.phone] auth.token: the file" in printed.err
    assert "can be read by others (mode 0644) (chmod 600" in printed.err
    assert "S3CRET" not in printed.err + printed.out


def test_a_configuration_that_is_not_there(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, "check", "-c", "nowhere.toml") == 2
    assert "nowhere.toml: no such configuration file" in capsys.readouterr().err


def test_schema_prints_what_editors_read(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, "schema") == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert printed == config.json_schema()


@pytest.mark.parametrize("profile", vendors.names())
def test_init_writes_a_job_that_passes_check_and_is_not_enabled(
    profile: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "init", "--profile", profile, "-o", "first.toml") == 0
    (job,) = config.load(Path("first.toml")).jobs.values()
    known = config.load_profile(profile, Path.cwd())
    assert not job.enabled
    assert job.users is not None
    assert job.users.mappings == known.user_mappings
    assert "reconciler check -c first.toml" in capsys.readouterr().out


def test_init_writes_groups_as_a_comment_that_can_be_taken_away(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(monkeypatch, "init") == 0
    head, mark, groups = Path("config.toml").read_text("utf-8").partition("# [jobs.app.groups]")
    Path("config.toml").write_text(
        head + "\n".join(line.removeprefix("# ") for line in (mark + groups).splitlines()), "utf-8"
    )
    job = config.load(Path("config.toml")).jobs["app"]
    assert job.groups is not None
    assert job.groups.mappings == config.load_profile("scim", Path.cwd()).group_mappings


def test_init_never_overwrites(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    Path("config.toml").write_text("mine", "utf-8")
    assert run(monkeypatch, "init") == 2
    assert "config.toml: is there already" in capsys.readouterr().err
    assert Path("config.toml").read_text("utf-8") == "mine"


def test_init_prints_where_it_is_asked_to(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, "init", "-o", "-") == 0
    assert "enabled = false" in capsys.readouterr().out
    assert not Path("config.toml").exists()


def test_init_names_the_profiles_that_there_are(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "init", "--profile", "dailpad") == 2
    assert (
        "dailpad: unknown profile (known: acall, aircall, dialpad, entra, graph, scim, sightcall)"
        in capsys.readouterr().err
    )
