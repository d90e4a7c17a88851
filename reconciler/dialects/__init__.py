"""Pure shapes of requests and answers, one module a protocol."""
