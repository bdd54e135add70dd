"""Store rollouts and what belongs to them: `ports` say what a store does and how much it holds,
`table_storage` implements them on Azure Table Storage."""
