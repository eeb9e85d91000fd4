"""Prometheus targets: fetched within limits, their health shown. A bad target is visible and harmless."""
