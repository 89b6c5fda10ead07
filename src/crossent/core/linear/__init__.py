"""A linear layer and the loss behind it without all logits at once: layer, plan, products, targets, rounds."""
