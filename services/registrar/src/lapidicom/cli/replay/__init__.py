"""Replay: dead letters go back to the work queue, none is lost, and none goes twice without being told."""
