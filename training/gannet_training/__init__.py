"""Trains a generator and judges it; leaves a run directory."""
