"""What the documents of each vendor ask for, shown row by row."""
