"""The backend. Only this folder and function_app.py are deployed.

A request goes from `triggers` to `use_cases`. The use cases decide by the rules in `rollouts` and
call the hub, the stores and the queue through the ports in `hub_gateway`, `rollout_store` and
`dispatch_queue`.
"""
