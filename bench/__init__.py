"""Measurements. `python -m bench` lists them; figures and commands stand in RESULTS.md."""
