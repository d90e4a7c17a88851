"""Makes mails of notices, hands them to an SMTP server."""
