"""Tests of the local IoT hub."""
