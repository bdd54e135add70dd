"""The cloud side: everything in this folder is deployed, and nothing else but function_app.py.

A request flows one way: triggers -> use cases -> rollouts (the heart), and from the use cases
through three ports to the hub gateway, the rollout store and the dispatch queue.
"""
