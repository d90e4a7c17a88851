"""The small configuration that tests vary."""

SOUND = """
[sources.staff]
type = "file"
users = "users.jsonl"
groups = "groups.jsonl"
[targets.phone]
type = "scim"
url = "https://phone.example.com/scim"
auth = { type = "bearer", token = { env = "PHONE_TOKEN" } }
[roles.agent]
when = { attribute = "department", operator = "EQUALS", value = "Support" }
"""
JOB = """
[jobs.phone]
source = "staff"
target = "phone"
scope = "all"
"""
