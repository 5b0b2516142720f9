"""Doing what the contract promised."""
