"""The commands, one module a theme; each parses nothing, calls the service, prints."""
