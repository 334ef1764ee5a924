"""Isthmus joins machines and business systems; see ARCHITECTURE.md for the house."""

__version__ = "0.1.0"
