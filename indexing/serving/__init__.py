"""What decides an answer: made, promoted, rolled back."""
