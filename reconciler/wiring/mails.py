"""Builds what hands mails on, and knows to whom."""

from __future__ import annotations

import socket

from reconciler import __version__
from reconciler.config import Config
from reconciler.notify.letters import Letters
from reconciler.notify.smtp import MailServer, SmtpNotifier
from reconciler.runtime.postman import Post
from reconciler.wiring.credentials import reader
from reconciler.wiring.targets import target_identity


def build_post(config: Config) -> Post:
    """Return how mails leave, and to whom; without [mail] there is nobody to hand them to."""
    mail = config.mail
    by_job = {name: job.notify for name, job in config.jobs.items()}
    if mail is None:
        return Post(by_job=by_job)
    server = MailServer(
        mail.host,
        mail.port,
        mail.security,
        username=mail.username,
        read_password=None if mail.password is None else reader(mail.password),
        ca_file=mail.ca_file,
        timeout_seconds=mail.timeout_seconds,
    )
    letters = Letters(
        mail.sender,
        config=str(config.path.resolve()),
        host=socket.gethostname(),
        version=__version__,
        places={name: _between(config, name) for name in config.jobs},
    )
    return Post(SmtpNotifier(server, letters), by_job, mail.to)


def _between(config: Config, job_name: str) -> str:
    job = config.jobs[job_name]
    place = target_identity(config, job_name).place
    return f"The job {job_name} goes from the source {job.source} to the target {job.target} ({place})."
