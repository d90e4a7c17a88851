"""Servers that the tests run against: an honest SCIM double in this process, a real SCIM server in its own."""
