"""From bare hosts to a platform that can be automated: planned, approved, proven."""

__version__ = "0.1.0"
