"""The command-line tools, one module each: `main` parses flags, calls the package and prints."""
