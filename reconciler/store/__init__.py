"""Remembers: links, fingerprints, holds, logs, watermarks."""
