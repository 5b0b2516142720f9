"""Proposing what to do."""
