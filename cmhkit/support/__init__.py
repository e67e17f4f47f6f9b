"""What every part of the kit stands on: checks with the one error, declared options, files that are never half written,
progress.
"""
