"""The contract of ports.Target, kept by an adapter against the double and against a real server."""
