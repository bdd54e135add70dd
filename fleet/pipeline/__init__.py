"""`fleet pipeline`: what the GitHub action and the Azure Pipelines template run.

All that a build shows of a rollout is made here: log, job summary, annotations, outputs and the
plan as a comment. Texts of devices and of the service are shown as text, never obeyed.
"""
