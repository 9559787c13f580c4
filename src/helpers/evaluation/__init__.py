"""What is a model worth? Multiple choice, generation, retrieval and probes, item by item."""
