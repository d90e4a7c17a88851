"""The mapping language, pure: from the text of an expression to a value."""
