"""Where rollouts are kept: `port` says what is needed, `table_storage` does it
on one `table` of Azure Table Storage, with names from `keys` and rows from `rollout_rows`,
`block_rows` and `other_rows`."""
