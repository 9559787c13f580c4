"""What a reader sees: pages made of executed notebooks, of prose, and of what was measured."""
