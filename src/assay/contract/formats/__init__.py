"""Schemas derived from a contract: Arrow, SQL, JSON Schema."""
