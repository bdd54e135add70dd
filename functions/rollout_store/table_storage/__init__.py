"""The stores on Azure Table Storage.

`table` is the client for one table, `keys` names its partitions and rows, `values` are columns
and JSON. Each port has a module of its name. A rollout's rows are in `rollout_rows`,
`block_rows`, `history_rows` and `list_rows`; `rollout_lists` reads lists of them.
"""
