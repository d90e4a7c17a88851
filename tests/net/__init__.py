"""The HTTP client against real sockets and in virtual time."""
