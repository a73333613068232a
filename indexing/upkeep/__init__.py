"""Verify, repair, compact."""
