"""What is shown of results: figures, cards, explanations, comparisons and exports. No page and no arithmetic of a run."""
