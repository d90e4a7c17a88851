"""The command that tries the mails: test-mail."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from reconciler import config as configuration
from reconciler import wiring
from reconciler.commands.options import config_option
from reconciler.commands.printing import print_json
from reconciler.commands.running import run_async
from reconciler.core import notices
from reconciler.errors import ConfigError, Problem
from reconciler.ports import InDoubt, NotTaken, Taken
from reconciler.runtime.clock import SystemClock
from reconciler.runtime.postman import Post


@click.command("test-mail")
@click.argument("job", required=False, default="")
@config_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def test_mail(job: str, config: Path, as_json: bool) -> None:
    """Send a test mail to the people of a job, or to those of [mail] to; say what the server answered."""
    loaded = configuration.load(config)
    post = wiring.build_post(loaded)
    recipients = _recipients(loaded, post, job)

    async def begin() -> None: ...

    async def work() -> Taken | NotTaken | InDoubt:
        assert post.notifier is not None
        return await post.notifier.hand_over(notices.trial(job, SystemClock().now()), recipients, begin)

    assert loaded.mail is not None
    server = f"{loaded.mail.host}:{loaded.mail.port}"
    outcome = run_async(work)
    refused = {one: reason.problem for one, reason in outcome.refused.items()} if isinstance(outcome, Taken) else {}
    reached = [one for one in recipients if one not in refused] if isinstance(outcome, Taken) else []
    answer = outcome.answer if isinstance(outcome, Taken) else outcome.problem
    if as_json:
        print_json({"server": server, "sent_to": reached, "answer": answer, "refused": refused})
    else:
        if reached:
            click.echo(f"ok  {server} took the mail for {', '.join(reached)}: {answer}")
        else:
            click.echo(f"BAD {answer}")
        for problem in refused.values():
            click.echo(f"BAD {problem}")
    sys.exit(4 if not reached else 1 if refused else 0)


def _recipients(loaded: configuration.Config, post: Post, job: str) -> list[str]:
    where = str(loaded.path)
    if job:
        wiring.job_named(loaded, job)
    if post.notifier is None:
        raise ConfigError(Problem(where, "there is no [mail]: nothing says how mails are sent", "add host and from"))
    found = list(post.recipients(job))
    if not found:
        hint = "name people in notify of the job, or in [mail] to" if job else "name a job, or people in [mail] to"
        raise ConfigError(Problem(where, "nobody is named who would get the mail", hint))
    return found
