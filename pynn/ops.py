"""torch.ops: the ops of torch.library.custom_op, each in its namespace."""
