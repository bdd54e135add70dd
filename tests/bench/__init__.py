"""Figures beside what they are compared to, measured in the same run. Never asserted."""
