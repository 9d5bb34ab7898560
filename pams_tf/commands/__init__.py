"""The commands: parse flags, call the package, print. One module each, `main` its entry point."""
