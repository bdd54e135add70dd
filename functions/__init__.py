"""The cloud side: everything in this folder is deployed, and nothing else but function_app.py.

A request flows one way: triggers -> use cases -> rollouts (the heart), and from the use cases
through two ports to the hub gateway and the rollout store.
"""
