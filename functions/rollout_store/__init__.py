"""Where rollouts are kept: `port` says what is needed, `table_storage` does it on Azure."""
