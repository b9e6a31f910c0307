"""Benches: `python -m bench` from the root of the repository (see CONTRIBUTING.md)."""
