"""Traces by OpenTelemetry, set up from the standard OTEL_* variables; without them nothing of it is imported.

A process calls `start` once, behind `logs.configure`. It returns None when no traces are wanted: whoever
is given None has no spans to make. See docs/tracing.md.
"""

from lapidicom.common.telemetry.wanted import Decision, decide

__all__ = ["Decision", "Tracing", "decide", "start"]

from lapidicom.common.telemetry.start import Tracing, start
