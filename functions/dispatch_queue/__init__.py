"""The way of batches from the timer to those who send them: `port` says what is needed,
`storage_queue` does it on a queue of Azure Storage, with messages from `messages`."""
