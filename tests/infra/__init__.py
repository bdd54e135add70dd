"""Checks of what `azd up` deploys, without Azure: template, package, settings, workflows."""
