"""What is special about one vendor, as data: one TOML each."""
